"""``apisvc-dev``: API, worker, store and a local backend in one process, ready to be tried."""

import argparse
import logging
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

from oslo_config import cfg

from apisvc import __version__, errors
from apisvc.commands import assemble, demo, entry, server
from apisvc.compute import base as compute
from apisvc.worker import worker

LOG = logging.getLogger(__name__)

PROG = "apisvc-dev"


def main(argv: Sequence[str] | None = None) -> int:
    return entry.run(PROG, _run, argv)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = entry.parser(
        PROG, "Run all of apisvc in one process on this host, to try it and to develop with it."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=5000, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--state-dir",
        type=pathlib.Path,
        default=default_state_dir(),
        metavar="DIR",
        help="folder that keeps everything between starts (default: %(default)s)",
    )
    parser.add_argument(
        "--ephemeral", action="store_true", help="keep nothing: what was made is taken away at the end"
    )
    return parser.parse_args(argv)


def default_state_dir() -> pathlib.Path:
    """``$XDG_STATE_HOME/apisvc``, by default ``~/.local/state/apisvc``."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return pathlib.Path(base, "apisvc")


def _run(argv: Sequence[str]) -> int:
    arguments = _arguments(argv)
    if not arguments.ephemeral:
        return _serve(arguments, demo.State(arguments.state_dir.expanduser().resolve()), "sqlite")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="apisvc-dev-"))
    try:
        return _serve(arguments, demo.State(folder), "memory")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(arguments: argparse.Namespace, state: demo.State, store: str) -> int:
    state.write_config(store)
    arguments.config_file = [str(state.config), *arguments.config_file]
    # From here on SIGTERM ends it as Ctrl-C does, also while it is still starting.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server.bind(arguments.host, arguments.port) as listening:
        conf = entry.configuration(arguments)
        assembly, texts = prepare(conf, state)
        assemble.warn_of_stray(conf)
        if problem := assemble.remote_problem(assembly, listening.server_name):
            raise errors.StartError(problem)
        listening.set_app(assemble.application(assembly))
        served = threading.Thread(target=listening.serve_forever, name="accept", daemon=True)
        working = worker.Worker(conf, assembly.services, assembly.backends)
        try:
            working.start()
            served.start()
            working.wait_ready(10.0)
            print(banner(listening.url, texts, state, ephemeral=arguments.ephemeral), flush=True)
            while True:
                signal.pause()
        except KeyboardInterrupt:
            print("\nStopping; instances go on." if not arguments.ephemeral else "\nStopping.", flush=True)
        finally:
            if served.is_alive():
                listening.shutdown()
            working.stop()
            if arguments.ephemeral:
                _take_away(assembly)
            assembly.close()
    return 0


def prepare(conf: cfg.ConfigOpts, state: demo.State) -> tuple[assemble.Assembly, dict[str, str]]:
    """Everything loaded, the store opened and seeded; and the texts of the seeded tokens by user."""
    state.ensure_keys(conf.secrets.key_directory)
    assembly = assemble.assemble(conf, serves=True)
    with state.locked():
        assemble.begin(assembly, deadline=time.monotonic() + 30)
        return assembly, demo.seed(assembly, state)


def _take_away(assembly: assemble.Assembly, seconds: float = 15.0) -> None:
    """Delete what runs on the backends; the store that knows of it is about to go."""
    deadline = time.monotonic() + seconds
    for backend in assembly.backends.values():
        try:
            left = list(backend.driver.observe(deadline=deadline))
            while left and time.monotonic() < deadline:
                left = [
                    each
                    for each in left
                    if not backend.driver.delete(each.tag.instance_id, each.tag.tenant_id, deadline=deadline)
                ]
                time.sleep(0.05)
        except compute.DriverError as error:
            LOG.warning("%s: cannot take everything away: %s", backend.name, error.message)


def banner(url: str, texts: dict[str, str], state: demo.State, *, ephemeral: bool) -> str:
    """What a newcomer needs, ready to be pasted."""
    here = pathlib.Path(sys.argv[0]).parent / "apisvc"
    command = str(here) if here.is_file() and not shutil.which("apisvc") else "apisvc"
    kept = "nothing is kept" if ephemeral else f"state in {state.folder}"
    return f"""
apisvc {__version__} at {url} ({kept}; Ctrl-C stops it)

In another terminal, as the member {demo.USER} of the tenant {demo.TENANT}:

  export APISVC_URL={url} APISVC_TENANT={demo.TENANT} APISVC_TOKEN={texts[demo.USER]}

  {command} instance create --name hello --image host --flavor tiny --wait -- sh -c 'while date; do sleep 1; done'
  {command} instance list
  {command} instance logs --follow hello

As the administrator:

  export APISVC_TOKEN={texts[demo.ADMIN]}

The API describes itself at {url}/docs
"""
