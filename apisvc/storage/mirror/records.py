"""A sorted map of records."""

import bisect
from collections.abc import Iterable

from apisvc.storage import base


class Records:
    """Not thread-safe."""

    def __init__(self, records: Iterable[base.Record] = ()) -> None:
        self._records = {record.key: record for record in records}
        # Code points sort as their UTF-8 bytes do.
        self._sorted = sorted(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> base.Record | None:
        return self._records.get(key)

    def scan(self, prefix: str, start: str | None, limit: int) -> tuple[list[base.Record], bool]:
        """Up to ``limit`` records under ``prefix`` from ``start`` on; whether there are more."""
        first = bisect.bisect_left(self._sorted, max(prefix, start or ""))
        found = [key for key in self._sorted[first : first + limit + 1] if key.startswith(prefix)]
        return [self._records[key] for key in found[:limit]], len(found) > limit

    def apply(self, change: base.Change) -> None:
        key = change.key
        if change.value is None:
            if self._records.pop(key, None) is not None:
                del self._sorted[bisect.bisect_left(self._sorted, key)]
            return
        if key not in self._records:
            bisect.insort(self._sorted, key)
        self._records[key] = base.Record(key, change.value, change.revision, change.created, change.lease)
