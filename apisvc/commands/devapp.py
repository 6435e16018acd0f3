"""``gunicorn main_dev:app``: what ``apisvc-dev`` runs, in each of gunicorn's worker processes.

Each process serves the API and works on instances too; claims keep them from
doing anything twice.
"""

import atexit
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from apisvc.commands import assemble, demo, dev
from apisvc.conf import files
from apisvc.worker import worker

LOG = logging.getLogger(__name__)


def application() -> "DevApp":
    """The application on the state folder that ``apisvc-dev`` uses by default.

    :raises StartError: with the one line to print.
    """
    state = demo.State(dev.default_state_dir())
    state.write_config("sqlite")
    conf = files.read(["--config-file", str(state.config)])
    files.start_logging(conf)
    assembly, texts = dev.prepare(conf, state)
    if state.claim_terminal():
        print(dev.banner(_url(sys.argv), texts, state, ephemeral=False), file=sys.stderr, flush=True)
    return DevApp(assembly, state)


def _url(argv: Sequence[str]) -> str:
    """Where gunicorn listens, as its command line says; nobody else tells the application."""
    bound = re.search(r"(?:-b|--bind)[ =]?([^ =]\S*:\d+)", " ".join(argv))
    return f"http://{bound[1] if bound else '127.0.0.1:8000'}"


class DevApp:
    """WSGI, with a worker beside it in each process that serves."""

    def __init__(self, assembly: assemble.Assembly, state: demo.State) -> None:
        self._assembly = assembly
        # Its claim of the terminal lasts as long as it does.
        self._state = state
        self._served = assemble.application(assembly)
        self._lock = threading.Lock()
        self._pid = 0
        self._work()

    def __call__(self, environ: dict[str, Any], start_response: assemble.StartResponse) -> Iterable[bytes]:
        if self._pid != os.getpid():
            self._work()
        return self._served(environ, start_response)

    def _work(self) -> None:
        """Start the worker; with --preload that is after the fork, at the first request."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                working = worker.Worker(self._assembly.conf, self._assembly.services, self._assembly.backends)
                working.start()
                atexit.register(working.stop, 5.0)
