"""Requests served in turns: one thread at a time, until it has to wait.

Python runs one thread at a time anyhow. Where each request has a thread of its own,
they interrupt each other all the time, and ask the store one after the other for the
revision that each must see. Here the thread that has the turn takes all that has come
(a *batch*), has the revision asked once for the whole of it, serves one request after
the other, and hands them back together.

A thread that is going to wait says so, with :class:`waiting` or a :class:`Call`, and
another goes on with the batch; when its wait is over it has the next turn. One that does
not say so is found out after :data:`.pool.TICK`. Without a pool (:mod:`apisvc.turns.pool`), under
another server, a call is a lock, and nothing else here does anything.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apisvc.turns.pool import Pool, Thread

#: A revision of the store, and the instant (``time.monotonic()``) at which it began to be asked.
Asked = tuple[int, float]


class Here(threading.local):
    """What this thread is at; outside of a pool nothing."""

    pool: "Pool[Any] | None" = None
    thread: "Thread | None" = None
    asked: Asked | None = None


here = Here()


class waiting:
    """A context for what may take longer than Python itself: the turn is another's meanwhile."""

    __slots__ = ()

    def __enter__(self) -> None:
        _waits()

    def __exit__(self, *_: object) -> None:
        pool, thread = here.pool, here.thread
        if pool is not None and thread is not None:
            pool.come_back(thread)


def _waits() -> None:
    pool, thread = here.pool, here.thread
    if pool is not None and thread is not None:
        pool.give_up(thread)


def leave() -> None:
    """This thread has something to do that goes on for long, such as a stream, and takes turns no more."""
    _waits()
    # What it reads later must be asked then.
    here.thread = here.asked = None


def let_others() -> bool:
    """Let all those go first that came together with this thread; False, and at once: there is no pool."""
    pool, thread = here.pool, here.thread
    if pool is None or thread is None:
        return False
    pool.come_last(thread)
    return True


class Call:
    """What the thread that makes it waits for, and another gives, once. With it comes the turn."""

    __slots__ = ("_pool", "given", "late", "thread")

    def __init__(self) -> None:
        self._pool, self.thread = here.pool, here.thread
        self.given = threading.Lock()
        self.given.acquire()
        #: Nobody waits for it any more.
        self.late = False

    def wait(self, seconds: float) -> bool:
        """Whether it came in time; one that is just coming may count as late."""
        _waits()
        if self.given.acquire(timeout=max(seconds, 0.0)):
            return True
        if self._pool is None or self.thread is None:
            return False
        if self._pool.forget(self):
            self._pool.come_back(self.thread)
            return False
        return True

    def give(self) -> None:
        if self._pool is None or self.thread is None:
            self.given.release()
        else:
            self._pool.resume(self)


def asked() -> Asked | None:
    """What the store said after this thread's request had come; once, and None when it is still to be asked."""
    pool = here.pool
    if pool is None:
        return None
    pool.wanted = True
    found, here.asked = here.asked, None
    return found


def gather(count: Callable[[], int], crowd: bool, lull: float, longest: float) -> None:
    """Wait for those who are just coming, of whom ``count()`` are there.

    In a pool that is until all that came together with this thread are at work or wait.
    Without one, and in a ``crowd``, it is for ``lull`` seconds, again and again while
    their number grows, and ``longest`` at most.
    """
    if let_others() or not crowd:
        return
    end, seen = time.monotonic() + longest, -1
    while (now := count()) > seen and time.monotonic() < end:
        seen = now
        time.sleep(lull)
