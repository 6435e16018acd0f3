"""Shapes of backends."""

from typing import Annotated

import msgspec

from apisvc.model import backends
from apisvc.schemas import base

State = Annotated[
    backends.BackendState,
    msgspec.Meta(
        description="`draining`: keeps what it has and gets nothing new; `disabled`: is not touched at all."
    ),
]
Reason = Annotated[str, msgspec.Meta(description="Why, for other people.", max_length=1024)]


Weight = Annotated[
    int,
    msgspec.Meta(
        description="Its share of new instances, beside the weights of the others. 0: only what no other takes.",
        ge=0,
        le=1_000_000,
        examples=[backends.WEIGHT],
    ),
]
Tenants = Annotated[
    tuple[base.Ref, ...],
    msgspec.Meta(
        description="The tenants that may use it, by id or name; to the others it is as if it were not there.",
        max_length=256,
    ),
]


class BackendUpdate(base.Body, frozen=True, kw_only=True):
    """What to do with a backend from now on."""

    state: State | msgspec.UnsetType = msgspec.UNSET
    reason: Reason | msgspec.UnsetType = msgspec.UNSET
    weight: Weight | msgspec.UnsetType = msgspec.UNSET
    tenants: Annotated[Tenants | None, msgspec.Meta(description="null: all tenants.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class HealthView(base.View, frozen=True, kw_only=True):
    """What a worker last found."""

    healthy: bool
    version: str
    detail: str
    since: base.Timestamp
    checked_at: base.Timestamp


class RoomView(base.View, frozen=True, kw_only=True):
    """Amounts that instances can have; null: the backend cannot tell."""

    vcpus: float | None
    ram_mb: int | None
    disk_gb: int | None


class CapacityView(base.View, frozen=True, kw_only=True):
    """What the nodes that take new instances have."""

    nodes: Annotated[int, msgspec.Meta(description="How many these are.")]
    total: RoomView
    free: RoomView
    rooms: Annotated[
        list[RoomView],
        msgspec.Meta(description="What single nodes have free, without those that others equal or exceed."),
    ]
    at: Annotated[base.Timestamp, msgspec.Meta(description="When this was seen first.")]


class BackendView(base.View, frozen=True, kw_only=True):
    """A configured target, as administrators see it."""

    id: Annotated[str, msgspec.Meta(description="Its name.")]
    name: str
    driver: str
    capabilities: tuple[str, ...]
    state: State
    reason: str
    weight: Weight
    tenants: Annotated[
        tuple[str, ...] | None, msgspec.Meta(description="Ids of the tenants that may use it; null: all.")
    ]
    instances: Annotated[int, msgspec.Meta(description="Instances there, of all tenants.")]
    capacity: Annotated[CapacityView | None, msgspec.Meta(description="null: not known.")]
    health: Annotated[HealthView | None, msgspec.Meta(description="null: no worker has looked yet.")]
    created_at: Annotated[None, msgspec.Meta(description="Always null: it is made by configuration.")] = None
    updated_at: Annotated[base.Timestamp | None, msgspec.Meta(description="null: it never was.")]
    revision: Annotated[int, msgspec.Meta(description="0: nobody ever changed anything of this.")]


class BackendList(base.View, frozen=True, kw_only=True):
    """All backends, in the configured order."""

    backends: list[BackendView]
    next: None = None


class TenantBackendView(base.View, frozen=True, kw_only=True):
    """A configured target, as tenants see it."""

    id: Annotated[str, msgspec.Meta(description="Its name.")]
    name: str
    driver: str
    capabilities: tuple[str, ...]
    state: State
    healthy: Annotated[bool | None, msgspec.Meta(description="null: not known.")]


class TenantBackendList(base.View, frozen=True, kw_only=True):
    """The backends that the tenant may use, in the configured order."""

    backends: list[TenantBackendView]
    next: None = None


def health_view(health: backends.BackendHealth) -> HealthView:
    """What a worker last found."""
    return HealthView(
        healthy=health.healthy,
        version=health.version,
        detail=health.detail,
        since=base.timestamp(health.since),
        checked_at=base.timestamp(health.checked_at),
    )


def capacity_view(capacity: backends.Capacity) -> CapacityView:
    """What the nodes have."""

    def room(found: backends.Room) -> RoomView:
        return RoomView(vcpus=found.vcpus, ram_mb=found.ram_mb, disk_gb=found.disk_gb)

    return CapacityView(
        nodes=capacity.nodes,
        total=room(capacity.total),
        free=room(capacity.free),
        rooms=[room(one) for one in capacity.rooms],
        at=base.timestamp(capacity.at),
    )
