"""Backends as the store knows them, and the workers that serve them."""

import enum

import msgspec


class BackendState(enum.StrEnum):
    ENABLED = "enabled"
    DRAINING = "draining"  # keeps what it has; nothing new
    DISABLED = "disabled"  # not touched at all


#: The weight of a backend of which the operator has not said another.
WEIGHT = 100


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word on a backend. A configured backend without a record is enabled."""

    name: str
    state: BackendState = BackendState.ENABLED
    reason: str = ""
    #: Its share of new instances, beside those of the others.
    weight: int = WEIGHT
    #: Ids of the tenants that may use it; None: all.
    tenants: tuple[str, ...] | None = None
    updated_at: float


class Room(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Amounts that instances can have. None: the backend cannot tell."""

    vcpus: float | None = None
    ram_mb: int | None = None
    disk_gb: int | None = None

    def holds(self, vcpus: float, ram_mb: float, disk_gb: float) -> bool:
        """Whether an instance of these amounts fits; what is not known is no reason why not."""
        return (
            (self.vcpus is None or vcpus <= self.vcpus)
            and (self.ram_mb is None or ram_mb <= self.ram_mb)
            and (self.disk_gb is None or disk_gb <= self.disk_gb)
        )


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the ready, schedulable nodes of a backend had at the instant ``at``."""

    at: float
    nodes: int
    total: Room
    free: Room
    #: What single nodes have free, without those of which another has at least as much of everything.
    #: No node: no room.
    rooms: tuple[Room, ...] = ()

    def holds(self, vcpus: float, ram_mb: float, disk_gb: float) -> bool:
        """Whether some node has room for an instance of these amounts."""
        return any(room.holds(vcpus, ram_mb, disk_gb) for room in self.rooms)


#: A health record that says the same is written again after this many seconds.
HEALTH_EVERY = 120.0


class BackendHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker last found; written when it changes, and at least every few minutes."""

    name: str
    healthy: bool
    version: str = ""
    detail: str = ""
    since: float
    checked_at: float
    #: Until when it speaks of the present; later, no worker looks any more. None: not known.
    good_until: float | None = None
    #: When all that is there was last listed.
    seen_at: float | None = None
    #: None: the backend cannot tell.
    capacity: Capacity | None = None
    #: Instances there that apisvc knows of, of all tenants.
    instances: int = 0


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a BackendHealth that says whether its instances are seen now."""

    healthy: bool
    good_until: float | None = None
    seen_at: float | None = None


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A live worker; its record is bound to its lease."""

    id: str
    host: str
    pid: int
    started_at: float
    backends: tuple[str, ...]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's leased right to act on one instance."""

    worker_id: str
    at: float
