"""A memory store that can be taken out of reach, and counts what it is asked."""

import threading
import time

from apisvc import errors
from apisvc.storage import base, memory


class BreakableStore(memory.MemoryStore):
    """``away``: calls fail and watches end. ``held``: revision calls wait until it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.held = threading.Event()
        self.held.set()
        self.revisions = 0
        self.scans = 0

    def _ask(self, deadline):
        if self.away:
            raise errors.StoreUnavailable("taken away")

    def get(self, keys, *, deadline=None):
        self._ask(deadline)
        return super().get(keys, deadline=deadline)

    def scan(self, prefix, **how):
        self._ask(how.get("deadline"))
        self.scans += 1
        return super().scan(prefix, **how)

    def revision(self, *, deadline=None):
        self._ask(deadline)
        self.revisions += 1
        answer = super().revision()
        if not self.held.wait(max(0.0, (deadline or time.monotonic() + 30) - time.monotonic())):
            raise errors.StoreUnavailable("too late")
        return answer

    def commit(self, guards, writes, *, deadline=None):
        self._ask(deadline)
        return super().commit(guards, writes, deadline=deadline)

    def watch(self, prefix, *, after, deadline=None):
        self._ask(deadline)
        return _BreakableWatch(self, super().watch(prefix, after=after))


class _BreakableWatch(base.Watch):
    def __init__(self, store, watch):
        self._store = store
        self._watch = watch

    def poll(self, timeout):
        end = time.monotonic() + timeout
        while True:
            self._store._ask(None)
            batch = self._watch.poll(min(0.02, max(0.0, end - time.monotonic())))
            if self._store.away:
                raise errors.StoreUnavailable("taken away")
            if batch is not None or self._watch.closed or time.monotonic() >= end:
                return batch

    def close(self):
        self._watch.close()

    @property
    def closed(self):
        return self._watch.closed
