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
"""

import abc
import dataclasses
import enum
import threading
from collections.abc import Iterator, Mapping, Sequence

from oslo_config import cfg

#: Contract version ``major.minor``; a driver states the one it was written for.
CONTRACT = "1.0"


class Phase(enum.StrEnum):
    """What the backend says of an object, in apisvc's words."""

    CREATING = "creating"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"  # at rest because we asked for it
    STARTING = "starting"
    REBOOTING = "rebooting"
    EXITED = "exited"  # at rest by itself; exit_code says how, if known
    FAILED = "failed"  # the backend gave up; reason and message say why
    DELETING = "deleting"
    UNKNOWN = "unknown"  # there, but the backend cannot say more


@dataclasses.dataclass(frozen=True, slots=True)
class Tag:
    """What every object made bears."""

    owner: str
    tenant_id: str
    instance_id: str
    spec_hash: str
    contract: str = CONTRACT


@dataclasses.dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant as a driver sees it. ``limits``: instances, vcpus, ram_mb, disk_gb; -1 is unlimited."""

    id: str
    name: str
    limits: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Workload:
    """An instance as a driver sees it: what should be, complete and decided."""

    id: str
    name: str
    tenant: TenantView
    spec_hash: str
    #: The image's reference for this driver (``images.references[driver]``).
    image: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    flavor: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Decrypted; never logged, never in an error text.
    secret_env: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ports: Sequence[int] = ()
    #: ``always``, ``on-failure`` or ``never``: what follows when it ends by itself.
    restart_policy: str = "always"
    #: ``running`` or ``stopped``.
    power: str = "running"
    #: How often a reboot was asked for since it was created.
    reboots: int = 0
    #: What the driver told by ``Observed.handle`` last time, if committed.
    handle: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """An object of the backend that bears our owner tag."""

    tag: Tag
    phase: Phase
    #: The backend's own id for it (pod UID, server id, process folder).
    handle: str | None = None
    node: str | None = None
    addresses: Sequence[str] = ()
    exit_code: int | None = None
    #: Seconds since the epoch, UTC.
    started_at: float | None = None
    finished_at: float | None = None
    #: Times the backend itself started it again.
    restarts: int = 0
    #: The number of reboots it has done, where the backend can tell, else None.
    reboots: int | None = None
    #: A CamelCase word (``OOMKilled``, ``ImagePullBackOff``) and a sentence fit for tenants.
    reason: str = ""
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """The answer of ``check()``: the backend is usable. Not usable is raised as a DriverError."""

    version: str = ""
    detail: str = ""


class DriverError(Exception):
    """The root of the closed set. ``message`` is fit for tenants: no secrets, no addresses of the cloud.

    ``retryable`` fixes the fate: True goes back by itself with back-off and
    jitter (honouring ``retry_after`` seconds), False waits for people.
    """

    code = "driver_bug"
    retryable = True

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidSpec(DriverError):
    """The backend refuses this spec."""

    code, retryable = "invalid_spec", False


class NotFound(DriverError):
    """Something the spec refers to is not there."""

    code, retryable = "not_found", False


class Unauthorized(DriverError):
    """The backend refuses our credentials."""

    code, retryable = "unauthorized", False


class BackendQuota(DriverError):
    """A quota of the backend itself is used up."""

    code, retryable = "backend_quota", False


class NoCapacity(DriverError):
    """There is no room for it now."""

    code = "no_capacity"


class Unavailable(DriverError):
    """The backend cannot be reached."""

    code = "unavailable"


class RateLimited(DriverError):
    """The backend asks us to slow down."""

    code = "rate_limited"


class Timeout(DriverError):
    """The backend did not answer in time; what was asked may or may not happen."""

    code = "timeout"


class InProgress(DriverError):
    """The backend is still busy with an earlier request."""

    code = "in_progress"


class DriverBug(DriverError):
    """The driver met something it does not know."""

    code = "driver_bug"


#: The closed set, as documentation and tests iterate it.
ERRORS: tuple[type[DriverError], ...] = (
    InvalidSpec,
    NotFound,
    Unauthorized,
    BackendQuota,
    NoCapacity,
    Unavailable,
    RateLimited,
    Timeout,
    InProgress,
    DriverBug,
)


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


# Capability mix-ins. A driver has one by inheriting it; found by issubclass.


class Power(abc.ABC):
    """Instances can be stopped, started and rebooted without losing their record."""

    @abc.abstractmethod
    def stop(self, workload: Workload, *, deadline: float) -> Observed:
        """Bring it to rest, gracefully first. At rest already: only report."""

    @abc.abstractmethod
    def start(self, workload: Workload, *, deadline: float) -> Observed:
        """Run it again from rest (also after it exited). Running already: only report."""

    @abc.abstractmethod
    def reboot(self, workload: Workload, *, deadline: float) -> Observed:
        """Do reboot number ``workload.reboots``, once: Observed.reboots tells how many were done."""


@dataclasses.dataclass(frozen=True, slots=True)
class LogRequest:
    """``tail``: the last N lines, None for all. ``follow``: go on with what is written later."""

    tail: int | None = None
    follow: bool = False


class Logs(abc.ABC):
    """What the instance printed can be read."""

    @abc.abstractmethod
    def logs(
        self, instance_id: str, tenant_id: str, request: LogRequest, *, deadline: float
    ) -> Iterator[bytes]:
        """Chunks of output, oldest first; NotFound when there is no object.

        With ``follow`` it yields ``b""`` at least every second while there is
        nothing new, and ends when the instance is at rest or gone. ``deadline``
        bounds the time to the first chunk only. Closing the iterator lets go of
        everything.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A machine inside the backend. Amounts are what instances can use; None: the backend cannot tell."""

    name: str
    ready: bool
    schedulable: bool = True
    vcpus: float | None = None
    ram_mb: int | None = None
    disk_gb: int | None = None
    vcpus_used: float | None = None
    ram_mb_used: int | None = None
    disk_gb_used: int | None = None
    detail: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Nodes(abc.ABC):
    """The machines behind the backend can be listed."""

    @abc.abstractmethod
    def nodes(self, *, deadline: float) -> Sequence[Node]:
        """All of them."""


class Watch(abc.ABC):
    """The backend says by itself when something changed, so it need not be asked often."""

    @abc.abstractmethod
    def watch(self, *, stop: threading.Event) -> Iterator[str]:
        """Instance ids that may have changed (``""``: any may have). Ends when ``stop.is_set()``.

        Yields ``""`` first, once it is sure to miss nothing later, and after
        every gap. Raises a DriverError when cut; the worker opens it again.
        """


#: Name (as the API shows it) -> mix-in. ``Console``, ``Credentials`` and ``Resize`` come with the first driver that has them.
CAPABILITIES: Mapping[str, type] = {"power": Power, "logs": Logs, "nodes": Nodes, "watch": Watch}


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
