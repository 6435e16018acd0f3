"""What a driver can do beyond the core: it has a capability by inheriting its mix-in; found by issubclass.

Part of the contract; see :mod:`apisvc.compute.base`, which driver authors import.
"""

import abc
import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence

from apisvc.compute.values import Observed, Phase, TenantView, Workload


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
    """Which part of the output.

    ``tail``: the last N lines, None for all. ``follow``: go on with what is
    written later. ``since``: only what was written from this instant on
    (seconds since the epoch). ``previous``: of the run before the present one.
    A driver that does not know when or in which run a line was written raises
    InvalidSpec for the last two; NotFound: there was no such run.
    """

    tail: int | None = None
    follow: bool = False
    since: float | None = None
    previous: bool = False


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
    """A machine inside the backend. Amounts are what instances can use; None: the backend cannot tell.

    Where the backend gives away more than a machine has, the amounts say so:
    an instance for whose flavor no node has room left is not given to it.
    """

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


class Cordon(Nodes):
    """New instances can be kept away from a machine; what runs there goes on."""

    @abc.abstractmethod
    def cordon(self, node: str, schedulable: bool, *, deadline: float) -> Node:
        """Let ``node`` take new instances, or not; the node as it is then. NotFound when there is none."""


class Resize:
    """``ensure`` gives an object another flavor in place: same handle, same disk, same addresses.

    A driver without it replaces the object.
    """


class Terminal(abc.ABC):
    """A program that runs inside an instance. Closed by whoever opened it, also after an error."""

    @abc.abstractmethod
    def read(self, timeout: float) -> tuple[int, bytes] | None:
        """The next piece of output as (1 or 2: stdout or stderr, bytes), ``(1, b"")`` when nothing came
        within ``timeout`` seconds, None at its end."""

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Give it input, waiting while it takes none; ``b""``: there is no more (nothing on a terminal)."""

    @abc.abstractmethod
    def resize(self, columns: int, rows: int) -> None:
        """Tell it the size of the window; nothing without ``tty``."""

    @property
    @abc.abstractmethod
    def exit_code(self) -> int | None:
        """How it ended, once ``read`` has answered None; None where the backend cannot say."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it; a program that is still running is left to the backend."""


@dataclasses.dataclass(frozen=True, slots=True)
class ExecRequest:
    """``command``: the program and its arguments. ``stdin``: input will be written. ``tty``: on a terminal."""

    command: Sequence[str]
    stdin: bool = False
    tty: bool = False


class Exec(abc.ABC):
    """Programs can be run inside a running instance."""

    @abc.abstractmethod
    def exec(self, instance_id: str, tenant_id: str, request: ExecRequest, *, deadline: float) -> Terminal:
        """Run one; ``deadline`` bounds its start only. NotFound: there is no object, or no such program.

        InvalidSpec when the instance does not run. The terminal's ``read`` is called by one thread and
        ``write`` and ``resize`` by another, at the same time.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """Where a person finds the console: ``kind`` is novnc, spice-html5, serial, ...; ``url`` is a secret."""

    kind: str
    url: str = dataclasses.field(repr=False)


class Console(abc.ABC):
    """The screen or serial line of an instance can be opened in a browser."""

    @abc.abstractmethod
    def console(self, instance_id: str, tenant_id: str, *, deadline: float) -> ConsoleAccess:
        """Where. NotFound when there is no object, InvalidSpec when it has none (now)."""


@dataclasses.dataclass(frozen=True, slots=True)
class CredentialRequest:
    """For whom: ``role`` is the caller's in the tenant, ``seconds`` how long it is good."""

    id: str
    tenant: TenantView
    role: str
    seconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """Access to the backend's own API. ``content`` is a file's text, told once and kept nowhere.

    ``kind``: ``kubeconfig``, ``clouds.yaml``, ... ``expires_at``: seconds since the epoch.
    """

    id: str
    kind: str
    expires_at: float
    content: str = dataclasses.field(default="", repr=False)


class Credentials(abc.ABC):
    """A tenant's member can be let into what the tenant has on the backend, and nothing else."""

    @abc.abstractmethod
    def issue(self, request: CredentialRequest, *, deadline: float) -> Credential:
        """Make one, after what the tenant needs (``ensure_tenant``) is there. Sweeps expired ones away."""

    @abc.abstractmethod
    def issued(self, tenant_id: str, *, deadline: float) -> Sequence[Credential]:
        """Those that are good now, without their content."""

    @abc.abstractmethod
    def revoke(self, tenant_id: str, credential_id: str, *, deadline: float) -> None:
        """Refused by the backend from now on. None of that id: success."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stray:
    """An object of the backend that apisvc could run but does not: it does not bear our owner tag."""

    handle: str
    name: str
    phase: Phase
    #: What a workload must say for ``adopt`` to leave the object as it is.
    image: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Where it lives there: a namespace, a project.
    place: str = ""


class Adopt(abc.ABC):
    """Objects that others made can be taken under management."""

    @abc.abstractmethod
    def strays(self, *, deadline: float) -> Sequence[Stray]:
        """All that could be adopted; never a partial list."""

    @abc.abstractmethod
    def adopt(self, workload: Workload, handle: str, *, deadline: float) -> Observed:
        """Make the object ours, as it is and where it is: from now on it bears the tag of ``workload``.

        NotFound when it is gone, InvalidSpec when it is another deployment's.
        """
