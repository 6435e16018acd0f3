"""What every call of the service layer carries, whoever makes it."""

import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from apisvc.model import events
from apisvc.model import identity as identities


class Replayable(msgspec.Struct, frozen=True):
    """A POST with an Idempotency-Key, to be remembered in the transaction it makes.

    ``key`` is the store key of the record. ``render`` turns the service's
    result into ``(status, location, body)``; the body is stored encrypted.
    """

    key: str
    fingerprint: str
    render: Callable[[Any], tuple[int, str | None, bytes]]


class Context(msgspec.Struct, frozen=True):
    """One request, or one act of a worker or of the command line."""

    actor: events.Actor
    #: Until when the store may be asked, on the ``time.monotonic()`` clock.
    deadline: float
    request_id: str | None = None
    identity: identities.Identity | None = None
    replayable: Replayable | None = None
    #: The revision of If-Match, for the writes that replace.
    if_match: int | None = None

    @property
    def admin(self) -> bool:
        """Whether the caller is an admin, who sees what is behind the tenants' things (nodes)."""
        return self.identity is not None and self.identity.admin


def system(seconds: float = 30.0, name: str = "apisvc") -> Context:
    """A context for work nobody asked for over HTTP: bootstrap, seeding, maintenance."""
    return Context(actor=events.Actor(kind="system", id=name, name=name), deadline=time.monotonic() + seconds)


class Clock:
    """Wall-clock seconds; tests put another in its place."""

    def now(self) -> float:
        return time.time()


class Ids:
    """New ids: UUID version 7 (RFC 9562), so that they sort by creation.

    The twelve bits after the milliseconds are fractions of one (method 3), so
    that also what one process makes in a row sorts.
    """

    def new(self) -> str:
        millis, nanos = divmod(time.time_ns(), 1_000_000)
        fraction = (nanos << 12) // 1_000_000
        # PERF: uuid asks the kernel for randomness, and writes slowly. An id is no secret.
        tail = f"{(0x2 << 62) | random.getrandbits(62):016x}"
        time_part = f"{millis:012x}"
        return f"{time_part[:8]}-{time_part[8:]}-7{fraction:03x}-{tail[:4]}-{tail[4:]}"
