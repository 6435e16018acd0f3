"""From a configuration to a service: everything loaded and wired, nothing opened."""

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

from apisvc import app, errors, plugins, turns
from apisvc.auth import base as auth
from apisvc.commands import server
from apisvc.compute import base as compute
from apisvc.conf import files
from apisvc.service import layout, secrets, services, unserved
from apisvc.storage import base as storage
from apisvc.storage import measured
from apisvc.storage.mirror import store as mirror
from apisvc.web import problems, requestid

LOG = logging.getLogger(__name__)

#: Seconds after which a store that does not answer is not waited for.
ATTEMPT = 3.0

StartResponse = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


@dataclasses.dataclass(frozen=True)
class Assembly:
    """What API and worker processes are made of."""

    conf: cfg.ConfigOpts
    store: storage.Store
    backends: dict[str, compute.LoadedBackend]
    services: services.Services
    auth_drivers: list[auth.AuthDriver]

    def close(self) -> None:
        for backend in self.backends.values():
            backend.driver.close()
        self.store.close()


def assemble(conf: cfg.ConfigOpts, *, serves: bool = False) -> Assembly:
    """Load what the configuration names. Reads the keys; opens neither store nor backends.

    ``serves``: for an API process, which may read from a mirror of the store.

    :raises StartError: with the one line to print.
    """
    store: storage.Store = measured.Measured(plugins.load_store(conf))
    if serves and (conf.storage.mirror == "on" or (conf.storage.mirror == "auto" and store.remote)):
        store = mirror.Mirror(store, timeout=conf.api.request_timeout)
    backends = plugins.load_backends(conf)
    auth_drivers = plugins.load_auth(conf, store)
    box = secrets.load(conf.secrets.key_directory)
    return Assembly(conf, store, backends, services.build(conf, store, box, backends), auth_drivers)


def begin(assembly: Assembly, *, deadline: float) -> None:
    """Open the store, and see that this release and this configuration fit what is in it.

    :raises StartError: with the one line to print.
    :raises StoreUnavailable: the store cannot be asked.
    """
    layout.ensure(assembly.store, deadline=deadline)
    unserved.require_none(
        assembly.store, assembly.backends, assembly.conf.unserved_backends, deadline=deadline
    )


def application(assembly: Assembly) -> Wsgi:
    """The WSGI application, behind a :class:`Gate`."""
    routes = plugins.load_routes(assembly.conf, assembly.services)
    return Gate(
        app.create_app(assembly.conf, assembly.services, assembly.auth_drivers, routes),
        assembly,
    )


def production() -> Wsgi:
    """The application of the configuration files, with logging started: what gunicorn serves."""
    conf = files.read()
    files.start_logging(conf)
    assembly = assemble(conf, serves=True)
    require_shared(assembly.store, conf)
    warn_of_stray(conf)
    return application(assembly)


def warn_of_stray(conf: cfg.ConfigOpts) -> None:
    """Log what the files set and nothing reads: most likely a typing error, and no reason not to start."""
    for line in plugins.stray(conf):
        LOG.warning("%s", line)


def require_shared(store: storage.Store, conf: cfg.ConfigOpts) -> None:
    """What is not shared serves ``apisvc-dev`` alone, where API and worker are one process.

    :raises StartError: the store is of that kind.
    """
    if not store.shared:
        raise errors.StartError(
            f"[storage] driver = {conf.storage.driver}: it keeps everything inside one process, so API, workers "
            "and commands would each have a store of their own; valid: one that they share, as sqlite "
            "(or try things with: apisvc-dev --ephemeral)"
        )


class Gate:
    """What must be known before a request is served, and cannot be before the process forks.

    * The store's data is of a layout that this release knows, and no backend that has instances is missing;
      else 503.
    * No listener is open to other hosts while a backend forbids that; else 503.

    ``/healthcheck``, which speaks of the process alone, passes in any case.
    """

    def __init__(self, served: Wsgi, assembly: Assembly) -> None:
        self._served = served
        self._assembly = assembly
        self._begun = False
        #: Listeners by address: why not, or None.
        self._listeners: dict[str, str | None] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        listener = environ["SERVER_NAME"]
        if self._begun and self._listeners.get(listener, listener) is None:
            return self._served(environ, start_response)
        error = self._examine(listener)
        if error is None or environ["PATH_INFO"] == "/healthcheck":
            return self._served(environ, start_response)
        LOG.error("%s", error.detail)
        return _refuse(error, start_response)

    def warm(self, seconds: float) -> None:
        """Do what the first request would wait for, as loading the mirror, so long as the store answers at all.

        For a process that is about to serve; what goes wrong is for the requests to tell.
        """
        begun = time.monotonic()
        try:
            self._assembly.store.ping(deadline=begun + min(seconds, ATTEMPT))
            begin(self._assembly, deadline=begun + seconds)
        except errors.ApisvcError as error:
            LOG.warning("This process serves before it is ready: %s", error.detail)

    def ahead(self, deadline: float) -> turns.Asked | None:
        """What :meth:`.Mirror.ahead` says; None where there is no mirror, and each read sees the present by itself."""
        store = self._assembly.store
        return store.ahead(deadline) if isinstance(store, mirror.Mirror) else None

    def _examine(self, listener: str) -> errors.ApisvcError | None:
        # NOTE: Several threads may come here at once; all find the same.
        if listener not in self._listeners:
            self._listeners[listener] = remote_problem(self._assembly, listener)
        if problem := self._listeners[listener]:
            return errors.Unavailable(problem, retry_after=5)
        if not self._begun:
            deadline = time.monotonic() + self._assembly.conf.api.request_timeout
            try:
                begin(self._assembly, deadline=deadline)
            except errors.StoreUnavailable as error:
                return error
            except errors.StartError as error:
                return errors.Unavailable(error.detail, retry_after=5)
            self._begun = True
        return None


def remote_problem(assembly: Assembly, listener: str) -> str | None:
    """Why the API may not listen on an address; None: it may."""
    if server.is_loopback(listener):
        return None
    for backend in assembly.backends.values():
        if backend.driver.loopback_only:
            return (
                f"the backend {backend.name!r} runs commands on this host, so the API is not served on "
                f"{listener}: listen on 127.0.0.1, or set [{backend.name}] allow_remote = true"
            )
    return None


def _refuse(error: errors.ApisvcError, start_response: StartResponse) -> Iterable[bytes]:
    """The problem that ``error`` is, a 503."""
    request_id = requestid.new()
    body = json.dumps(problems.document(error, request_id)).encode()
    headers = [
        ("Content-Type", problems.MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(math.ceil(error.retry_after or 5))),
        (requestid.HEADER, request_id),
    ]
    start_response("503 Service Unavailable", headers)
    return [body]
