"""Shapes of nodes."""

import enum
from typing import Annotated

import msgspec

from apisvc.schemas import base

_Backend = Annotated[str, msgspec.Meta(description="Of this backend only.", max_length=63)]


class NodeQuery(base.Query, frozen=True, kw_only=True):
    """Which nodes."""

    backend: _Backend | None = None


class NodeVerb(enum.StrEnum):
    CORDON = "cordon"
    UNCORDON = "uncordon"


class NodeAction(base.Body, frozen=True, kw_only=True):
    """What to do with a node."""

    action: Annotated[
        NodeVerb,
        msgspec.Meta(
            description="`cordon`: it gets no new instances, and what runs there goes on; `uncordon` ends that.",
            examples=["cordon"],
        ),
    ]


class NodeView(base.View, frozen=True, kw_only=True):
    """A machine inside a backend. Amounts are what instances can use; null: the backend cannot tell."""

    id: Annotated[str, msgspec.Meta(description="`<backend>/<name>`")]
    backend: str
    name: str
    ready: bool
    schedulable: bool
    vcpus: float | None
    ram_mb: int | None
    disk_gb: int | None
    vcpus_used: float | None
    ram_mb_used: int | None
    disk_gb_used: int | None
    detail: dict[str, str]


class UnlistedView(base.View, frozen=True, kw_only=True):
    """A backend whose nodes are not in the list."""

    backend: str
    code: Annotated[str, msgspec.Meta(examples=["apisvc.backend.unavailable"])]
    detail: str


class NodeList(base.View, frozen=True, kw_only=True):
    """The nodes of all backends that could be asked just now."""

    nodes: list[NodeView]
    unlisted: list[UnlistedView]
    next: None = None
