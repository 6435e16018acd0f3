"""A sorted map of records."""

import itertools
from collections.abc import Iterable

import sortedcontainers

from apisvc.storage import base


class Records:
    """Not thread-safe."""

    def __init__(self, records: Iterable[base.Record] = ()) -> None:
        self._records = {record.key: record for record in records}
        #: The record of a key, or None. PERF: the dict's own, for it is asked half a dozen times in each request.
        self.get = self._records.get
        # Code points sort as their UTF-8 bytes do. One long list would be moved by half with each new key.
        self._sorted = sortedcontainers.SortedList(self._records)
        #: Of all keys and values.
        self.bytes = sum(map(_size, self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def scan(self, prefix: str, start: str | None, limit: int) -> tuple[list[base.Record], bool]:
        """Up to ``limit`` records under ``prefix`` from ``start`` on; whether there are more."""
        following = itertools.islice(self._sorted.irange(minimum=max(prefix, start or "")), limit + 1)
        found = [key for key in following if key.startswith(prefix)]
        return [self._records[key] for key in found[:limit]], len(found) > limit

    def apply(self, change: base.Change) -> None:
        key, value = change.key, change.value
        before = self._records.get(key)
        if before is not None:
            self.bytes -= _size(before)
        if value is None:
            if before is not None:
                del self._records[key]
                self._sorted.remove(key)
            return
        if before is None:
            self._sorted.add(key)
        self._records[key] = record = base.Record(key, value, change.revision, change.created, change.lease)
        self.bytes += _size(record)


def _size(record: base.Record) -> int:
    return len(record.key) + len(record.value)
