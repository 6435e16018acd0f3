"""Shapes of events."""

import datetime
from typing import Annotated, Any

import msgspec

from apisvc.model import codec, events
from apisvc.schemas import base

_ACTION = r"^[a-z]+(-[a-z]+)*(\.[a-z-]*)?$(?!\n)"
base.EXPLAINED[_ACTION] = "an action ('instance.create') or its beginning ('instance')"

_Action = Annotated[
    str,
    msgspec.Meta(
        description="This action (`instance.create`), or all of a kind (`instance`).",
        max_length=63,
        pattern=_ACTION,
        examples=["instance"],
    ),
]
_TargetKind = Annotated[str, msgspec.Meta(description="Done to one of this kind.", max_length=63)]
_TargetId = Annotated[str, msgspec.Meta(description="Done to the one with this id.", max_length=63)]
_Since = Annotated[
    datetime.datetime,
    msgspec.Meta(
        description="Not before this moment (RFC 3339).", tz=True, examples=["2026-11-22T08:15:30Z"]
    ),
]
_After = Annotated[
    int,
    msgspec.Meta(
        description="For feeds: the cursor to go on from, which is the `revision` of the last event seen, or the "
        "`cursor` of a list. Without it a feed begins now.",
        ge=0,
        le=2**63 - 1,
    ),
]


class EventQuery(base.ListQuery, frozen=True, kw_only=True):
    """Which events; what is given must all hold."""

    action: _Action | None = None
    target_kind: _TargetKind | None = None
    target_id: _TargetId | None = None
    since: _Since | None = None
    follow: Annotated[bool, msgspec.Meta(description="Answer an endless feed instead of a page.")] = False
    after: _After | None = None

    def matches(self, event: events.Event) -> bool:
        """Whether everything that is given holds for ``event``."""
        return (
            (self.action is None or event.action == self.action or event.action.startswith(f"{self.action}."))
            and self.target_kind in (None, event.target.kind)
            and self.target_id in (None, event.target.id)
            and (self.since is None or event.at >= self.since.timestamp())
        )


class ActorView(base.View, frozen=True, kw_only=True):
    """Who did it."""

    kind: Annotated[str, msgspec.Meta(description="user, worker or system.")]
    id: str
    name: str


class TargetView(base.View, frozen=True, kw_only=True):
    """What it was done to."""

    kind: Annotated[str, msgspec.Meta(examples=["instance"])]
    id: str
    name: str


class EventView(base.View, frozen=True, kw_only=True):
    """Something that was written, and by whom."""

    id: base.Id
    at: base.Timestamp
    action: Annotated[str, msgspec.Meta(examples=["instance.create"])]
    actor: ActorView
    target: TargetView
    tenant_id: base.Id | None
    request_id: str | None
    before: Annotated[
        int | None, msgspec.Meta(description="The target's revision before it; null: there was none.")
    ]
    revision: Annotated[int, msgspec.Meta(description="The revision that it made; also the cursor after it.")]
    detail: Annotated[
        dict[str, Any],
        msgspec.Meta(description="What depends on the action; `node` is shown to admins only."),
    ]


class EventList(base.View, frozen=True, kw_only=True):
    """A page of events, newest last."""

    events: list[EventView]
    cursor: Annotated[
        int,
        msgspec.Meta(
            description="A feed after the cursor of the first page goes on where the pages end; what lies between "
            "may come twice, with the same id."
        ),
    ]
    next: str | None


class Bookmark(base.View, frozen=True, kw_only=True):
    """In a feed: nothing more for you up to here, go on from it."""

    revision: int


def view(found: codec.Versioned[events.Event], *, node: bool) -> EventView:
    """An event as everybody sees it who may; with ``node`` also which machine of the backend it speaks of."""
    event = found.value
    detail = event.detail if node else {name: value for name, value in event.detail.items() if name != "node"}
    return EventView(
        id=event.id,
        at=base.timestamp(event.at),
        action=event.action,
        actor=ActorView(kind=event.actor.kind, id=event.actor.id, name=event.actor.name),
        target=TargetView(kind=event.target.kind, id=event.target.id, name=event.target.name),
        tenant_id=event.tenant_id,
        request_id=event.request_id,
        before=event.before,
        revision=found.revision,
        detail=_shown(detail),
    )


def _shown(told: Any, moment: bool = False) -> Any:
    """``told`` with moments as everywhere in answers; an event keeps them as records do."""
    if isinstance(told, dict):
        return {name: _shown(value, moment or name.endswith("_at")) for name, value in told.items()}
    return base.timestamp(told) if moment and isinstance(told, int | float) else told
