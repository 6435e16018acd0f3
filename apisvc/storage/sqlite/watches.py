"""Watches: queries on the rows by revision, and a wait in between."""

import time

from apisvc.storage import base
from apisvc.storage.sqlite import process

#: Commits in one batch of a watch that lies far behind.
BATCH_COMMITS = 256

_CHANGES = """
    SELECT state.revision, state.compacted, record.key, record.value, record.revision, record.created, record.lease
    FROM state LEFT JOIN record INDEXED BY record_log
    ON record.revision > ? AND record.revision <= ? AND record.key >= ? AND record.key < ?
    WHERE state.one = 1
    ORDER BY record.revision, record.id
"""


class SqliteWatch(base.Watch):
    """Changes under a prefix. One thread polls it; any thread may close it."""

    def __init__(self, here: process.Process, prefix: str, after: int) -> None:
        self._here = here
        self._range = base.scan_range(prefix, None, 1)
        self._after = after
        self._closed = False
        here.signals.listen()

    def poll(self, timeout: float) -> base.Batch | None:
        end = time.monotonic() + timeout
        while not self.closed:
            batch = self._take()
            if batch is not None:
                return batch
            if time.monotonic() >= end:
                return None
            self._here.signals.wait(self._after, end, lambda: self.closed)
        return None

    def close(self) -> None:
        self._closed = True
        self._here.signals.wake()

    @property
    def closed(self) -> bool:
        return self._closed or self._here.signals.stopped

    def _take(self) -> base.Batch | None:
        """What has changed since the last batch, or None when the store has not moved."""
        last = self._after + BATCH_COMMITS
        rows = self._here.read(_CHANGES, (self._after, last, *self._range), None)
        current, compacted = rows[0][:2]
        base.require_history(self._after, compacted=compacted, current=current)
        if current == self._after:
            return None
        self._after = min(current, last)
        changes = [base.Change(key.decode(), *rest) for _, _, key, *rest in rows if key is not None]
        return base.Batch(self._after, changes)
