"""Requests served in turns: one thread at a time, until it has to wait.

Python runs one thread at a time anyhow. Where each request has a thread of its own,
they interrupt each other all the time, and ask the store one after the other for the
revision that each must see. Here the thread that has the turn takes all that has come
(a *batch*), has the revision asked once for the whole of it, serves one request after
the other, and hands them back together.

A thread that is going to wait says so, with :func:`waits`, and another goes on with
the batch; one that does not say so is found out after :data:`TICK`. Without a
:class:`Pool`, under another server, nothing here does anything.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds after which the turn is taken from a thread that is still at the same request.
TICK = 0.01
#: A batch of so many has the revision asked ahead.
SEVERAL = 2
#: Seconds that the asking may take; then each asks for itself, with its own deadline.
PATIENCE = 1.0

#: A revision of the store, and the instant (``time.monotonic()``) at which it began to be asked.
Asked = tuple[int, float]


class _Here(threading.local):
    """What this thread is at; outside of a pool nothing."""

    pool: "Pool[Any] | None" = None
    thread: "_Thread | None" = None
    asked: Asked | None = None


_here = _Here()


def waits() -> None:
    """To be called before what may take longer than Python itself: others do not wait for this thread then."""
    pool, thread = _here.pool, _here.thread
    if pool is not None and thread is not None:
        pool.give_up(thread)


def asked() -> Asked | None:
    """What the store said after this thread's request had come; once, and None when it is still to be asked."""
    pool = _here.pool
    if pool is None:
        return None
    pool.wanted = True
    found, _here.asked = _here.asked, None
    return found


def linger(count: Callable[[], int], lull: float, longest: float) -> None:
    """Sleep for ``lull`` seconds, again and again while ``count()`` grows, and ``longest`` at most."""
    end, seen = time.monotonic() + longest, -1
    while (now := count()) > seen and time.monotonic() < end:
        seen = now
        time.sleep(lull)


class Task(Generic[T]):
    """Something to serve, and what came of it, as a ``concurrent.futures.Future`` has it."""

    __slots__ = ("_error", "_result", "came", "item")

    def __init__(self, item: T, came: bool) -> None:
        self.item = item
        #: Whether its request had begun to come in when it was submitted.
        self.came = came
        self._result: Any = None
        self._error: BaseException | None = None

    def result(self) -> Any:
        """What the work returned; or its error, raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def cancelled(self) -> bool:
        return False

    def serve(self, work: Callable[[T], Any]) -> None:
        try:
            self._result = work(self.item)
        except BaseException as error:
            self._error = error


class _Batch(Generic[T]):
    """What had come when the turn came to it; ``asked`` is good for those of its requests that came."""

    __slots__ = ("asked", "tasks")

    def __init__(self, tasks: Iterable[Task[T]] = ()) -> None:
        self.tasks = deque(tasks)
        self.asked: Asked | None = None


class _Thread:
    __slots__ = ("called",)

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()


class Pool(Generic[T]):
    """Up to ``threads`` threads, of which one does ``work`` and the others wait for something.

    ``ask(deadline)`` is the store's revision, or None where nobody needs it or it is
    not known in time. ``came(item)`` says of what is submitted whether its request had
    begun to come in: only for that may be asked ahead of it. ``told`` gets the tasks
    that are done, several at once, in one of the threads.
    """

    def __init__(
        self,
        threads: int,
        work: Callable[[T], Any],
        *,
        ask: Callable[[float], Asked | None],
        came: Callable[[T], bool],
        told: Callable[[list[Task[T]]], None],
    ) -> None:
        self._work = work
        self._ask = ask
        self._came = came
        self._told = told
        #: Whether requests look at the revision; they say so in :func:`asked`.
        self.wanted = False
        self._asking = False
        #: Guards who has the turn, who is idle, and the making of a batch. gunicorn shuts down within a signal handler.
        self._mutex = threading.RLock()
        self._holder: _Thread | None = None
        self._idle: list[_Thread] = []
        self._coming: deque[Task[T]] = deque()
        self._batch: _Batch[T] = _Batch()
        #: Tasks that are done and not yet told: telling wakes the thread that polls the connections.
        self._done: deque[Task[T]] = deque()
        #: Grows with each step of whoever has the turn.
        self._steps = 0
        self._closed = threading.Event()
        #: Set while somebody has the turn, and a little longer.
        self._taken = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(_Thread(),), name=f"turn-{n}", daemon=True)
            for n in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="turn-watch", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(self, items: Iterable[T]) -> None:
        """Have the work done for each of ``items``, which came together; :class:`RuntimeError` after the end."""
        if self._closed.is_set():
            raise RuntimeError("the pool is shut down")
        self._coming.extend([Task(item, self._came(item)) for item in items])
        # NOTE: In this order; who gives up the turn looks for tasks after that.
        if self._holder is None:
            self._hand_on()

    def shutdown(self, wait: bool = True) -> None:
        """What has been submitted is finished; with ``wait``, before this returns."""
        with self._mutex:
            self._closed.set()
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.called.release()
        self._taken.set()
        for each in self._threads if wait else ():
            each.join()

    def give_up(self, thread: _Thread) -> None:
        """Another goes on, if it is this thread's turn."""
        if self._holder is not thread:
            return
        self._tell()
        with self._mutex:
            if self._holder is thread:
                self._holder = None
        self._hand_on()

    # Who has the turn

    def _pending(self) -> bool:
        return bool(self._coming or self._batch.tasks)

    def _hand_on(self) -> None:
        """Give the turn to an idle thread, if there is work for it."""
        with self._mutex:
            if self._holder is not None or not self._idle or not self._pending():
                return
            self._holder = thread = self._idle.pop()
        thread.called.release()
        self._take()

    def _take(self) -> None:
        """Have it watched who has the turn now."""
        if not self._taken.is_set():  # PERF: to set it again takes a lock
            self._taken.set()

    def _live(self, thread: _Thread) -> None:
        _here.pool, _here.thread = self, thread
        while self._wait(thread):
            self._serve(thread)

    def _wait(self, thread: _Thread) -> bool:
        """Until it may be this thread's turn; False: never again."""
        with self._mutex:
            if self._holder is thread:
                self._holder = None
            if self._holder is None and self._pending():
                self._holder = thread
                self._take()
                return True
            if self._closed.is_set():
                return False
            self._idle.append(thread)
        thread.called.acquire()
        return True

    def _watch(self) -> None:
        """Take the turn from a thread that has been at one request for too long."""
        while not self._closed.is_set():
            self._taken.wait()
            holder, steps = self._holder, self._steps
            if holder is None:
                self._taken.clear()
                if self._holder is not None:
                    self._taken.set()
                continue
            self._closed.wait(TICK)
            if self._steps == steps:
                self.give_up(holder)

    # What it does

    def _serve(self, thread: _Thread) -> None:
        """Serve what has come and comes, for as long as this thread has the turn."""
        while self._holder is thread:
            batch = self._batch
            try:
                task = batch.tasks.popleft()
            except IndexError:
                self._tell()
                if not self._coming:
                    return
                self._gather(thread)
                continue
            self._steps += 1
            _here.asked = batch.asked if task.came else None
            task.serve(self._work)
            self._done.append(task)
        self._tell()

    def _gather(self, thread: _Thread) -> None:
        """Make all that has come a batch, and ask for it what it will want to know."""
        with self._mutex:
            if self._holder is not thread or self._batch.tasks:
                return
            self._batch = batch = _Batch(_all(self._coming))
            asks = self.wanted and len(batch.tasks) >= SEVERAL and not self._asking
            self.wanted = False
            self._asking = self._asking or asks
        self._steps += 1
        if asks:
            # All that is in the batch has come by now. The turn may be taken from this thread
            # meanwhile; then those who are served before the answer ask for themselves.
            _here.thread = None  # the turn is kept for this wait
            try:
                batch.asked = self._ask(time.monotonic() + PATIENCE)
            except Exception:
                LOG.exception("the revision could not be asked ahead; each request asks for itself")
            finally:
                _here.thread = thread
                self._asking = False

    def _tell(self) -> None:
        """Hand back what is done."""
        if done := _all(self._done):
            self._told(done)


def _all(tasks: deque[Task[T]]) -> list[Task[T]]:
    """Take all that is in there; other threads may add to it, and take from it."""
    taken: list[Task[T]] = []
    with contextlib.suppress(IndexError):
        while tasks:
            taken.append(tasks.popleft())
    return taken
