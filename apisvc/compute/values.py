"""What passes between apisvc and a compute driver: what should be, and what is there.

Part of the contract; see :mod:`apisvc.compute.base`, which driver authors import.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence

#: Contract version ``major.minor``; a driver states the one it was written for.
CONTRACT = "1.0"

#: The fields of :class:`Workload` that a driver may be unable to honour (:attr:`ComputeDriver.accepts`).
OPTIONAL_FIELDS = frozenset(
    {
        "command",
        "args",
        "env",
        "secret_env",
        "ports",
        "ssh_key",
        "user_data",
        "networks",
        "security_groups",
        "public_address",
        "volumes",
    }
)


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
    #: A public SSH key (``ssh-ed25519 AAAA... comment``) for the machine's first user; "": none.
    ssh_key: str = ""
    #: What the machine reads at its first start (cloud-init); "": nothing.
    user_data: str = ""
    #: Names or ids of the backend's networks; empty: what the backend is configured to give.
    networks: Sequence[str] = ()
    #: Names or ids of the backend's security groups; empty: its default.
    security_groups: Sequence[str] = ()
    #: Whether it shall be reached from outside by an address of its own.
    public_address: bool = False
    #: Sizes in GiB of volumes made with it, attached to it, and gone with it.
    volumes: Sequence[int] = ()
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
