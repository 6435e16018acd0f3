"""The audit feed: one event for every write, in the write's own transaction."""

from typing import Any

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it. ``kind``: ``user``, ``worker`` or ``system`` (command line, bootstrap)."""

    kind: str
    id: str
    name: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What it was done to. ``kind`` is a word of the API: tenant, user, member, token, flavor, instance ..."""

    kind: str
    id: str
    name: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """``after``, the target's revision after it, is the revision of the event's own record."""

    id: str
    at: float
    #: ``<kind>.<verb>``: ``instance.create``, ``instance.state``, ``member.update`` ...
    action: str
    actor: Actor
    target: Target
    tenant_id: str | None = None
    request_id: str | None = None
    #: The target's revision before it; None: it was not there.
    before: int | None = None
    #: All that a bill or an auditor needs; never a secret.
    detail: dict[str, Any] = {}
