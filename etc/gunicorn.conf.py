"""Settings of gunicorn for the API: ``gunicorn -c /etc/apisvc/gunicorn.conf.py apisvc.main:app``."""

import atexit
import os
import shutil
import tempfile

bind = "127.0.0.1:5000"
# One process a core; each serves `threads` requests at a time. A stream (an event feed, a followed
# log) holds a thread for as long as it is open: keep threads well above max_streams in [api].
workers = os.cpu_count() or 1
# gunicorn's own "gthread", but that a request which computes is not interrupted by others, those that came together
# ask the store together, and each process takes its share of the connections. With "gthread" itself all works as
# well, and fewer requests a second are served.
worker_class = "apisvc.web.gunicorn_worker.Turns"
threads = 32
# The configuration is read once, by the process that starts the others: what is wrong with it is said once,
# and a process that takes the place of another is as that one was. An upgrade is a restart.
preload_app = True
keepalive = 30
# Seconds for open requests when a process is told to stop.
graceful_timeout = 30
# The largest request line and headers that are read; the body is bounded by [api] max_body_bytes.
limit_request_line = 8190
limit_request_fields = 100
# It is steered by signals, so it needs no socket for orders in the home folder, one for all of a user's
# gunicorns. One that knows no such socket passes this over.
control_socket_disable = True
# Behind a proxy: its address, so that what it says of the client is believed.
forwarded_allow_ips = "127.0.0.1,::1"


def _make_figures():
    """The folder in which each process writes its figures; /metrics adds them up.

    It must be named before apisvc is imported, and be empty at the start.
    """
    folder = tempfile.mkdtemp(prefix="apisvc-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    atexit.register(_remove_figures, folder, os.getpid())


def _remove_figures(folder, owner):
    if os.getpid() == owner:  # not in the processes that were forked
        shutil.rmtree(folder, ignore_errors=True)


if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # else a reload, or the deployer's own
    _make_figures()


def on_reload(server):
    """SIGHUP: the next processes have the configuration as it is now, or, if that is wrong, as it was."""
    from apisvc import errors
    from apisvc.commands import assemble

    try:
        server.app.callable = assemble.production()
    except errors.ApisvcError as error:
        server.log.error("Not reloaded; the configuration stays as it was: %s", error.detail)


def post_worker_init(worker):
    """A process takes requests when it has its copy of the store; until then the others do.

    Not later than `timeout` in any case, after which gunicorn would kill it.
    """
    worker.wsgi.warm(min(20.0, (worker.timeout or 60.0) / 2))


def child_exit(server, worker):
    """The gauges of a process go with it; its counters stay in the sums."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
