"""Pages of records in the order of their keys."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from apisvc.model import codec
from apisvc.storage import base as storage

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: ``limit`` items after ``marker`` (None: from the start)."""

    limit: int
    marker: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """Part of a list. ``marker`` asks for the part that follows; None: there is none."""

    items: Sequence[codec.Versioned[T]]
    marker: str | None


#: Records that one part of a list looks at when a filter passes most of them
#: over. Such a part may be short, even empty, and still have one that follows.
LOOK_AT_MOST = 10_000


def scan(
    store: storage.Store,
    prefix: str,
    kind: type[T],
    page: Page,
    *,
    keep: Callable[[T], bool] | None = None,
    within: Sequence[str] | None = None,
    since: str = "",
    deadline: float | None = None,
) -> Listed[T]:
    """The records under ``prefix`` for which ``keep`` holds, from the page's marker on.

    ``within``: only those under these longer prefixes. ``since``: of each of
    them, only the keys that do not lie before it.

    A marker is the key of the last item looked at, without the prefix: an id,
    or ``<tenant id>/<id>`` where the prefix spans tenants. It stays good when
    that item is removed.
    """
    start = "" if page.marker is None else storage.after(prefix + page.marker)
    found: list[codec.Versioned[T]] = []
    looked, last = 0, ""
    for place in [prefix] if within is None else sorted(within):
        start, more = max(start, place + since), True
        if not start.startswith(place):
            continue  # the pages before had all of it
        while more:
            part = store.scan(place, start=start, limit=max(page.limit + 1, 100), deadline=deadline)
            for record in part.records:
                value = codec.decode(record.value, kind)
                wanted = keep is None or keep(value)
                if (wanted and len(found) == page.limit) or looked == LOOK_AT_MOST:
                    return Listed(found, last.removeprefix(prefix))
                looked, last = looked + 1, record.key
                if wanted:
                    found.append(codec.Versioned(value, record.revision))
            more = part.more
            start = storage.after(part.records[-1].key) if more else start
    return Listed(found, None)
