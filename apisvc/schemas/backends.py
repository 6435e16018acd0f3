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


class BackendUpdate(base.Body, frozen=True, kw_only=True):
    """What to do with a backend from now on."""

    state: State | msgspec.UnsetType = msgspec.UNSET
    reason: Reason | msgspec.UnsetType = msgspec.UNSET


class HealthView(base.View, frozen=True, kw_only=True):
    """What a worker last found."""

    healthy: bool
    version: str
    detail: str
    since: base.Timestamp
    checked_at: base.Timestamp


class BackendView(base.View, frozen=True, kw_only=True):
    """A configured target, as administrators see it."""

    id: Annotated[str, msgspec.Meta(description="Its name.")]
    name: str
    driver: str
    capabilities: tuple[str, ...]
    state: State
    reason: str
    health: Annotated[HealthView | None, msgspec.Meta(description="null: no worker has looked yet.")]
    created_at: Annotated[None, msgspec.Meta(description="Always null: it is made by configuration.")] = None
    updated_at: Annotated[base.Timestamp | None, msgspec.Meta(description="null: it never was.")]
    revision: Annotated[int, msgspec.Meta(description="0: its state never was changed.")]


class BackendList(base.View, frozen=True, kw_only=True):
    """All backends, in the order of preference."""

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
    """All backends as tenants see them, in the order of preference."""

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
