"""Taking turns: one at a time for each name, within this process.

A guarded transaction needs none of this to be right. It saves the work of
those that would read the same record together, of which one would commit and
the others read again.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any


class Turns:
    """Locks by name, there only while somebody holds or wants them."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        #: name -> its lock, and how many hold or want it.
        self._locks: dict[str, tuple[Any, int]] = {}

    @contextlib.contextmanager
    def of(self, name: str, until: float) -> Iterator[None]:
        """Hold the turn of ``name``, also twice. Who does not get it by ``until`` goes on without."""
        with self._mutex:
            lock, count = self._locks.get(name) or (threading.RLock(), 0)
            self._locks[name] = (lock, count + 1)
        held = lock.acquire(timeout=max(0.0, until - time.monotonic()))
        try:
            yield
        finally:
            if held:
                lock.release()
            with self._mutex:
                lock, count = self._locks.pop(name)
                if count > 1:
                    self._locks[name] = (lock, count - 1)
