"""The threads that serve in turns."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from apisvc import turns

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds after which the turn is taken from a thread that is still at the same request.
TICK = 0.01
#: A batch of so many has the revision asked ahead.
SEVERAL = 2
#: Seconds that the asking may take; then each asks for itself, with its own deadline.
PATIENCE = 1.0


class Task(Generic[T]):
    """Something to serve, and what came of it, as a ``concurrent.futures.Future`` has it."""

    __slots__ = ("_error", "came", "item", "returned")

    def __init__(self, item: T, came: bool) -> None:
        self.item = item
        #: Whether its request had begun to come in when it was submitted.
        self.came = came
        #: What the work returned; None also when it failed, or is not done.
        self.returned: Any = None
        self._error: BaseException | None = None

    def result(self) -> Any:
        """What the work returned; or its error, raised."""
        if self._error is not None:
            raise self._error
        return self.returned

    def cancelled(self) -> bool:
        return False

    def serve(self, work: Callable[[T], Any]) -> None:
        try:
            self.returned = work(self.item)
        except BaseException as error:
            self._error = error


class _Batch(Generic[T]):
    """What had come when the turn came to it; ``asked`` is good for those of its requests that came."""

    __slots__ = ("asked", "tasks")

    def __init__(self, tasks: Iterable[Task[T]] = ()) -> None:
        self.tasks = deque(tasks)
        self.asked: turns.Asked | None = None


class Thread:
    __slots__ = ("called",)

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()


class Pool(Generic[T]):
    """Up to ``threads`` threads, of which one does ``work`` and the others wait for something.

    ``ask(deadline)`` is the store's revision, or None where nobody needs it or it is
    not known in time. ``told`` gets the tasks that are done, several at once, in one of
    the threads, and may submit some anew.
    """

    def __init__(
        self,
        threads: int,
        work: Callable[[T], Any],
        *,
        ask: Callable[[float], turns.Asked | None],
        told: Callable[[list[Task[T]]], None],
    ) -> None:
        self._work = work
        self._ask = ask
        self._told = told
        #: Whether requests look at the revision; they say so in :func:`asked`.
        self.wanted = False
        self._asking = False
        #: Guards who has the turn, who is idle, and the making of a batch. gunicorn shuts down within a signal handler.
        self._mutex = threading.RLock()
        self._holder: Thread | None = None
        self._idle: list[Thread] = []
        #: Whose wait is over, and who lets the rest of the batch go first.
        self._resumed: deque[turns.Call] = deque()
        self._last: deque[turns.Call] = deque()
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
            threading.Thread(target=self._live, args=(Thread(),), name=f"turn-{n}", daemon=True)
            for n in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="turn-watch", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(self, items: Iterable[tuple[T, bool]]) -> None:
        """Have the work done for each of ``items``, which came together; :class:`RuntimeError` after the end.

        With each comes whether its request has begun to come in by now: only then may be asked ahead of it.
        """
        if self._closed.is_set():
            raise RuntimeError("the pool is shut down")
        self._coming.extend([Task(item, came) for item, came in items])
        # NOTE: In this order; who gives up the turn looks for tasks after that.
        if self._holder is None:
            self._hand_on()

    def shutdown(self, wait: bool = True) -> None:
        """What has been submitted is finished; with ``wait``, before this returns."""
        with self._mutex:
            self._closed.set()
            self._release_idle()
            # From here on nobody is watched; so nobody waits for a turn.
            for calls in (self._resumed, self._last):
                while calls:
                    calls.popleft().given.release()
        self._taken.set()
        for each in self._threads if wait else ():
            each.join()

    # Giving the turn away, and getting it back

    def give_up(self, thread: Thread) -> None:
        """Another goes on, if it is this thread's turn."""
        if self._holder is thread:
            self._tell()
            self._pass_on(thread)

    def come_back(self, thread: Thread) -> None:
        """Wait for the turn, unless ``thread`` has it."""
        if self._holder is not thread:
            self._await(thread, self._resumed)

    def come_last(self, thread: Thread) -> None:
        """Wait for the turn until the rest of the batch has had it."""
        self._await(thread, self._last)

    def resume(self, call: turns.Call) -> None:
        """The thread that waits for ``call`` is to have one of the next turns."""
        self._queue(call, self._resumed)
        if self._holder is None:
            self._hand_on()

    def forget(self, call: turns.Call) -> bool:
        """Whether ``call`` has not come yet; then it never will."""
        with self._mutex:
            call.late = not call.given.acquire(blocking=False)
        return call.late

    def _await(self, thread: Thread, calls: deque[turns.Call]) -> None:
        call = turns.Call()
        self._queue(call, calls)
        self._pass_on(thread)
        call.given.acquire()

    def _queue(self, call: turns.Call, calls: deque[turns.Call]) -> None:
        with self._mutex:
            if self._closed.is_set():
                call.given.release()
            else:
                calls.append(call)

    def _pass_on(self, thread: Thread) -> None:
        with self._mutex:
            if self._holder is thread:
                self._holder = None
        if self._holder is None:
            self._hand_on()

    def _hand_on(self) -> None:
        """Give the turn to whoever is next, if there is anybody, and nobody has it."""
        with self._mutex:
            if self._holder is not None:
                return
            call = _next(self._resumed)
            if call is None and not (self._batch.tasks and self._idle):
                call = _next(self._last)
            if call is not None:
                self._holder, wakes = call.thread, call.given
            elif self._idle and (self._batch.tasks or self._coming):
                self._holder = thread = self._idle.pop()
                wakes = thread.called
            else:
                return
            self._steps += 1
            wakes.release()
        if not self._taken.is_set():  # PERF: to set it again takes a lock
            self._taken.set()

    def _release_idle(self) -> None:
        while self._idle:
            self._idle.pop().called.release()

    # The threads

    def _live(self, thread: Thread) -> None:
        turns.here.pool = self
        while self._wait(thread):
            self._serve(thread)

    def _wait(self, thread: Thread) -> bool:
        """Until it may be this thread's turn; False: never again."""
        with self._mutex:
            if self._holder is thread:
                self._holder = None
            over = self._closed.is_set() and not (self._batch.tasks or self._coming)
            if over:
                self._release_idle()  # for the same
            else:
                self._idle.append(thread)
        if self._holder is None:
            self._hand_on()
        if self._holder is None:
            self._tell()  # else whoever has the turn will
        if not over:
            thread.called.acquire()
        return not over

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
            if not self._closed.wait(TICK) and self._steps == steps:
                self.give_up(holder)

    def _serve(self, thread: Thread) -> None:
        """Serve what has come and comes, for as long as this thread has the turn."""
        while self._holder is thread:
            batch = self._batch
            if self._resumed or (self._last and not batch.tasks):
                self._pass_on(thread)
                continue
            try:
                task = batch.tasks.popleft()
            except IndexError:
                self._tell()
                if not self._coming:
                    return
                self._gather(thread)
                continue
            self._steps += 1
            turns.here.thread, turns.here.asked = thread, batch.asked if task.came else None
            task.serve(self._work)
            self._done.append(task)

    def _gather(self, thread: Thread) -> None:
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
            # All that is in the batch has come by now. The turn is kept for this wait. It may be taken
            # from this thread, though; then those who are served before the answer ask for themselves.
            turns.here.thread = None
            try:
                batch.asked = self._ask(time.monotonic() + PATIENCE)
            except Exception:
                LOG.exception("the revision could not be asked ahead; each request asks for itself")
            finally:
                self._asking = False

    def _tell(self) -> None:
        """Hand back what is done."""
        if done := _all(self._done):
            self._told(done)


def _next(calls: deque[turns.Call]) -> turns.Call | None:
    """Take the first that somebody waits for."""
    while calls:
        call = calls.popleft()
        if not call.late:
            return call
    return None


def _all(tasks: deque[Task[T]]) -> list[Task[T]]:
    """Take all that is in there; other threads may add to it, and take from it."""
    taken: list[Task[T]] = []
    with contextlib.suppress(IndexError):
        while tasks:
            taken.append(tasks.popleft())
    return taken
