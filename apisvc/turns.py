"""Requests served in turns: one thread at a time, until it has to wait.

Python runs one thread at a time anyhow. Where each request has a thread of its own,
they interrupt each other all the time, and ask the store one after the other for the
revision that each must see. Here the thread that has the turn takes all that has come
(a *batch*), has the revision asked once for the whole of it, serves one request after
the other, and hands their connections back together.

A thread that is going to wait says so, with :func:`waits`, and another goes on with
the batch; one that does not say so is found out after :data:`TICK`. Without a
:class:`Pool`, under another server, nothing here does anything.
"""

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent import futures
from typing import Any

LOG = logging.getLogger(__name__)

#: Seconds after which the turn is taken from a thread that is still at the same request.
TICK = 0.01
#: A batch of so many has the revision asked ahead, and makes the next one wait for others: so long, again and
#: again while others come, and at most.
SEVERAL, LULL, LINGER = 2, 0.00001, 0.004
#: Seconds that the asking may take; then each asks for itself, with its own deadline.
PATIENCE = 1.0

#: A revision of the store, and the instant (``time.monotonic()``) at which it began to be asked.
Asked = tuple[int, float]


class _Here(threading.local):
    """What this thread is at; outside of a pool nothing."""

    pool: "Pool | None" = None
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


@dataclasses.dataclass(slots=True)
class _Task:
    future: "futures.Future[Any]"
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    #: Whether its request has begun to come in.
    came: bool


class _Batch:
    """What had come when the turn came to it; ``asked`` is good for those of its requests that came."""

    __slots__ = ("asked", "tasks")

    def __init__(self) -> None:
        self.tasks: deque[_Task] = deque()
        self.asked: Asked | None = None


class _Thread:
    __slots__ = ("called",)

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()


class Pool(futures.Executor):
    """An executor of up to ``threads`` tasks at a time, of which one runs and the others wait for something.

    ``ask(deadline)`` is the store's revision, or None where nobody needs it or it is
    not known in time. ``came(*arguments)`` says of a task whether what it answers
    had begun to come in when it was submitted: only for that may be asked ahead of it.
    """

    def __init__(self, threads: int, ask: Callable[[float], Asked | None], came: Callable[..., bool]) -> None:
        self._ask = ask
        self._came = came
        #: Whether requests look at the revision; they say so in :func:`asked`.
        self.wanted = False
        self._asking = False
        #: Guards who has the turn, who is idle, and the making of a batch. gunicorn shuts down within a signal handler.
        self._mutex = threading.RLock()
        self._holder: _Thread | None = None
        self._idle: list[_Thread] = []
        self._coming: deque[_Task] = deque()
        self._batch = _Batch()
        #: Tasks that are done and not yet told: telling wakes the thread that polls the connections.
        self._done: deque[tuple[futures.Future[Any], Any]] = deque()
        #: Grows with each step of whoever has the turn.
        self._steps = 0
        #: How many were in the last batch.
        self._shared = 0
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

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "futures.Future[Any]":
        if kwargs:
            raise TypeError("a task takes no keyword arguments")
        if self._closed.is_set():
            raise RuntimeError("the pool is shut down")
        future: futures.Future[Any] = futures.Future()
        self._coming.append(_Task(future, fn, args, self._came(*args)))
        # NOTE: In this order; who gives up the turn looks for tasks after that.
        if self._holder is None:
            self._hand_on()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What has been begun is finished; with ``wait``, before this returns."""
        with self._mutex:
            self._closed.set()
            idle, self._idle = self._idle, []
        for tasks in (self._coming, self._batch.tasks) if cancel_futures else ():
            while tasks:
                tasks.popleft().future.cancel()
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
                self._taken.set()
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
                if self._shared >= SEVERAL:
                    # Who was served together asks again together, but the polling thread finds them one by one.
                    linger(lambda: len(self._coming), LULL, LINGER)
                self._gather(thread)
                continue
            if not task.future.set_running_or_notify_cancel():
                continue
            self._steps += 1
            _here.asked = batch.asked if task.came else None
            try:
                result = task.work(*task.arguments)
            except BaseException as error:
                task.future.set_exception(error)
            else:
                self._done.append((task.future, result))
        self._tell()

    def _gather(self, thread: _Thread) -> None:
        """Make all that has come a batch, and ask for it what it will want to know."""
        with self._mutex:
            if self._holder is not thread or self._batch.tasks:
                return
            self._batch = batch = _Batch()
            while self._coming:
                batch.tasks.append(self._coming.popleft())
            self._shared = len(batch.tasks)
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
        while self._done:
            try:
                future, result = self._done.popleft()
            except IndexError:
                return  # another thread is at it too
            future.set_result(result)
