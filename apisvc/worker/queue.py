"""A queue of keys: each is in it once, has a time before which it rests, and is worked by one thread at a time."""

import heapq
import threading
import time
from collections.abc import Callable


class KeyQueue:
    """Level-triggered: adding a key again only makes it due earlier.

    Times are instants of ``time.monotonic()``.
    """

    def __init__(self, waited: Callable[[float], object] = lambda _: None) -> None:
        """``waited`` is told, for each key taken, for how many seconds it had been due."""
        self._waited = waited
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # may hold outdated entries; _due decides
        self._working: set[str] = set()
        self._closed = False

    def add(self, key: str, delay: float = 0.0) -> None:
        """Have ``key`` worked after ``delay`` seconds, or earlier if it is due earlier already.

        While it is being worked, it waits for that to end.
        """
        at = time.monotonic() + delay
        with self._changed:
            if self._closed or self._due.get(key, float("inf")) <= at:
                return
            self._due[key] = at
            if key not in self._working:
                self._push(key, at)

    def take(self, timeout: float | None = None) -> str | None:
        """The next key that is due; None when there is none in time, or after :meth:`close`.

        Whoever takes a key must call :meth:`done` with it.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                key, at = self._first()
                if key is not None and at <= now:
                    heapq.heappop(self._heap)
                    del self._due[key]
                    self._working.add(key)
                    self._waited(now - at)
                    return key
                if end is not None and now >= end:
                    return None
                waits = [instant - now for instant in (at if key else None, end) if instant is not None]
                self._changed.wait(min(waits, default=None))
            return None

    def done(self, key: str) -> None:
        """The work on ``key`` has ended; what was added meanwhile becomes due."""
        with self._changed:
            self._working.discard(key)
            at = self._due.get(key)
            if at is not None:
                self._push(key, at)
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all takers with None; nothing is accepted from now on."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._heap.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        """Keys waiting or being worked."""
        with self._changed:
            return len(self._due.keys() | self._working)

    def _push(self, key: str, at: float) -> None:
        heapq.heappush(self._heap, (at, key))
        self._changed.notify()

    def _first(self) -> tuple[str | None, float]:
        while self._heap:
            at, key = self._heap[0]
            if self._due.get(key) == at and key not in self._working:
                return key, at
            heapq.heappop(self._heap)
        return None, 0.0
