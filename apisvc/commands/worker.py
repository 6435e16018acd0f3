"""``apisvc-worker``: carries out what the API recorded. Any number of them, on any number of hosts."""

import argparse
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cotyledon
import prometheus_client
from oslo_config import cfg

from apisvc import errors
from apisvc.commands import assemble, entry
from apisvc.testing import faults
from apisvc.worker import worker

if TYPE_CHECKING:
    from wsgiref import simple_server

    from cotyledon import types

LOG = logging.getLogger(__name__)

PROG = "apisvc-worker"

#: Seconds that the store may take to answer at the start.
PATIENCE = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    return entry.run(PROG, _run, argv)


def _run(argv: Sequence[str]) -> int:
    arguments = entry.parser(PROG, "Carry out on the backends what the API recorded.").parse_args(argv)
    configured = Configured(arguments)
    manager = cotyledon.ServiceManager(graceful_shutdown_timeout=configured.conf.worker.graceful_timeout)
    service = manager.add(Service, workers=configured.conf.worker.processes, args=(configured,))

    def reload() -> None:
        configured.reload()
        manager.reconfigure(service, configured.conf.worker.processes)

    manager.register_hooks(on_reload=reload)
    manager.run()
    return 0


class Configured:
    """The configuration that worker processes start with: the last one that was good.

    It is read by the process that starts them, so that what is wrong with it is
    said once, and a reload of a wrong one leaves all as it is.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        """:raises StartError: the configuration or the data is wrong."""
        self._arguments = arguments
        self.conf = self._read()

    def reload(self) -> None:
        """Read it anew."""
        try:
            self.conf = self._read()
        except errors.ApisvcError as error:
            LOG.error("Not reloaded; the configuration stays as it was: %s", error.detail)

    def _read(self) -> cfg.ConfigOpts:
        conf = entry.configuration(self._arguments)
        # Nothing of it is used later: each process opens its own.
        looked_at = assemble.assemble(conf)
        try:
            assemble.require_shared(looked_at.store, conf)
            assemble.warn_of_stray(conf)
            assemble.begin(looked_at, deadline=time.monotonic() + PATIENCE)
        finally:
            looked_at.close()
        return conf


class Service(cotyledon.Service):
    """One worker process.

    SIGTERM finishes what is in hand. So does SIGHUP, after which the process is
    started again with the configuration as it then is.
    """

    name = "apisvc-worker"

    def __init__(self, worker_id: "types.WorkerId", configured: Configured) -> None:
        super().__init__(worker_id)
        self._number = worker_id
        self._metrics: simple_server.WSGIServer | None = None
        conf = configured.conf
        self._assembly = assemble.assemble(conf)
        hook = faults.from_environment()  # None, but in crash tests
        self._worker = worker.Worker(conf, self._assembly.services, self._assembly.backends, hook)

    def run(self) -> None:
        self._metrics = serve_metrics(self._assembly.conf, self._number)
        self._worker.start()

    def terminate(self) -> None:
        if self._metrics is not None:
            self._metrics.shutdown()
            self._metrics.server_close()
        self._worker.stop(self._assembly.conf.worker.graceful_timeout)
        self._assembly.close()


def serve_metrics(conf: cfg.ConfigOpts, number: int) -> "simple_server.WSGIServer | None":
    """Serve what the ``number``-th process counts, if ``[worker] metrics_port`` says where."""
    options = conf.worker
    if options.metrics_port is None:
        return None
    port = options.metrics_port + number
    try:
        served, _ = prometheus_client.start_http_server(port, options.metrics_host)
    except OSError as error:
        # Instances matter more than figures about them.
        LOG.error("[worker] metrics_port: cannot listen on %s:%d: %s", options.metrics_host, port, error)
        return None
    return served
