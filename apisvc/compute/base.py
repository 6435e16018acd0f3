"""The compute contract: what apisvc asks of a kind of backend.

The docstrings are the specification; ``apisvc.testing.compute`` is the same
text as tests.

A driver turns a :class:`Workload` (what apisvc wants) into whatever its backend
runs, and reports :class:`Observed` (what is there). It keeps no state of its
own that it could not find again by looking at the backend.

* Every call is **idempotent** and **returns as soon as the backend accepted**.
  "Not finished" is a value, not a wait; the worker calls again.
* Every object made bears :class:`Tag`: owner (this deployment), tenant,
  instance id, spec hash and contract version. By that it is found again, also
  by a store that has forgotten it. Names are derived from the id alone.
* Two calls for one instance may overlap (a worker that lost its claim is still
  in one). Even then there is never a twin.
* Every call takes ``deadline``, an instant of ``time.monotonic()``; past it, it
  raises :class:`Timeout`.
* A driver raises :class:`DriverError` subclasses only. Anything else counts as
  :class:`DriverBug`: retried slowly, logged with its trace, never shown.

Driver authors import this module alone. What goes in and out is written in
:mod:`~apisvc.compute.values`, the errors in :mod:`~apisvc.compute.faults`, what
a driver may add in :mod:`~apisvc.compute.capabilities`.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

from oslo_config import cfg

from apisvc.compute.capabilities import (
    Adopt,
    Console,
    ConsoleAccess,
    Cordon,
    Credential,
    CredentialRequest,
    Credentials,
    Exec,
    ExecRequest,
    LogRequest,
    Logs,
    Node,
    Nodes,
    Power,
    Resize,
    Stray,
    Terminal,
    Watch,
)
from apisvc.compute.faults import (
    ERRORS,
    BackendQuota,
    DriverBug,
    DriverError,
    InProgress,
    InvalidSpec,
    NoCapacity,
    NotFound,
    RateLimited,
    Timeout,
    Unauthorized,
    Unavailable,
)
from apisvc.compute.values import (
    CONTRACT,
    OPTIONAL_FIELDS,
    Health,
    Observed,
    Phase,
    Tag,
    TenantView,
    Workload,
)

#: All of the contract, whichever of its files it stands in.
__all__ = [
    "CAPABILITIES",
    "CONTRACT",
    "ERRORS",
    "OPTIONAL_FIELDS",
    "Adopt",
    "BackendContext",
    "BackendQuota",
    "ComputeDriver",
    "Console",
    "ConsoleAccess",
    "Cordon",
    "Credential",
    "CredentialRequest",
    "Credentials",
    "DriverBug",
    "DriverError",
    "Exec",
    "ExecRequest",
    "Health",
    "InProgress",
    "InvalidSpec",
    "LoadedBackend",
    "LogRequest",
    "Logs",
    "NoCapacity",
    "Node",
    "Nodes",
    "NotFound",
    "Observed",
    "Phase",
    "Power",
    "RateLimited",
    "Resize",
    "Stray",
    "Tag",
    "TenantView",
    "Terminal",
    "Timeout",
    "Unauthorized",
    "Unavailable",
    "Watch",
    "Workload",
    "capabilities",
]


@dataclasses.dataclass(frozen=True)
class BackendContext:
    """What a driver is built with: ``Driver(BackendContext)``."""

    #: The backend's name, which is also its option group.
    name: str
    #: This deployment; the owner in every Tag.
    owner: str
    #: The option group ``[<name>]`` with the driver's ``options()`` registered.
    conf: cfg.ConfigOpts.GroupAttr
    #: A private folder on this host that survives restarts (``<state_dir>/backends/<name>``).
    state_dir: str


class ComputeDriver(abc.ABC):
    """A driver for a kind of backend. Entry-point group ``apisvc.compute``.

    ``__init__`` opens nothing; it may raise ValueError naming an option whose
    value cannot be right. One object serves one backend, from many threads.
    """

    contract: str
    #: Those of OPTIONAL_FIELDS that instances on it may use. A request that sets another one is not
    #: given to this kind of backend, and told why.
    accepts: ClassVar[frozenset[str]] = frozenset({"command", "args", "env", "secret_env", "ports"})

    def __init__(self, backend: BackendContext) -> None:
        self.backend = backend

    @property
    def loopback_only(self) -> bool:
        """Whether the API must not be reachable from other hosts while this backend is enabled.

        For a driver that runs tenants' commands on this host; it gives people
        an option to say otherwise.
        """
        return False

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """The options of a backend of this kind, each with type, default and help."""
        return ()

    @abc.abstractmethod
    def check(self, *, deadline: float) -> Health:
        """Ask the backend whether it is usable, as cheaply as it can tell."""

    @abc.abstractmethod
    def ensure_tenant(self, tenant: TenantView, *, deadline: float) -> None:
        """Make or converge what a tenant needs before its first instance; InProgress while not ready."""

    @abc.abstractmethod
    def remove_tenant(self, tenant_id: str, *, deadline: float) -> bool:
        """Take away what ensure_tenant made. True when nothing is left (or was there); else call again."""

    @abc.abstractmethod
    def ensure(self, workload: Workload, *, deadline: float) -> Observed:
        """Make the one object for ``workload``, or converge it to its spec and power.

        An object with another spec hash is changed in place or replaced. One
        that is there and right is only reported. One that exited by itself is
        left as it is unless the spec hash or ``reboots`` moved on; one that the
        backend gave up on (``FAILED``) is tried again.
        """

    @abc.abstractmethod
    def observe(self, ids: Sequence[str] | None = None, *, deadline: float) -> Sequence[Observed]:
        """The objects that bear our owner tag: all of them, or those of ``ids``.

        Never a partial list: when any part cannot be listed, raise. So an id
        that is missing from the answer is authoritatively gone.
        """

    @abc.abstractmethod
    def delete(self, instance_id: str, tenant_id: str, *, deadline: float) -> bool:
        """Take the object away. True when it is authoritatively gone or was never there; else call again."""

    def close(self) -> None:  # noqa: B027 (nothing to close is a fine answer)
        """Let go of connections and threads. What runs on the backend goes on."""


#: Name (as the API shows it) -> mix-in.
CAPABILITIES: Mapping[str, type] = {
    "adopt": Adopt,
    "console": Console,
    "cordon": Cordon,
    "credentials": Credentials,
    "exec": Exec,
    "logs": Logs,
    "nodes": Nodes,
    "power": Power,
    "resize": Resize,
    "watch": Watch,
}


def capabilities(driver: type[ComputeDriver]) -> tuple[str, ...]:
    """The names of what ``driver`` can do beyond the core, sorted."""
    return tuple(sorted(name for name, mixin in CAPABILITIES.items() if issubclass(driver, mixin)))


@dataclasses.dataclass(frozen=True)
class LoadedBackend:
    """A configured backend with its driver, as plugins.py hands it to API and worker."""

    name: str
    #: The entry point's name: ``local``; also the key into ``image.references``.
    driver_name: str
    driver: ComputeDriver

    @property
    def capabilities(self) -> tuple[str, ...]:
        return capabilities(type(self.driver))
