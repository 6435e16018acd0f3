"""How new must an answer be?

A read asks the store for its current revision, waits until the copy has seen
that, and then is served from memory.

Why that is linearizable: let a read begin at time *t*. Every commit that
returned before *t* has a revision of at most *R*, the answer to a "current
revision" call that *started* after *t*. The copy answers only once it has
everything up to *R*, hence each of those commits. And it never shows less than
it showed before, because its revision only grows; so of two reads, one after
the other, the second is never older.

The call is shared: one is in flight at a time, and all reads that wait when it
starts share its answer. So its cost does not grow with the number of readers.
Where several do share it, the next one starts only when no more of them come,
for a moment: fewer calls then serve as many.

Who has the requests served in turns (:mod:`apisvc.turns`) may ask ahead of them:
a call that started after a request had come in serves its read as well, though
that begins later. And a call starts there when all that came together are at
work or wait for it, instead of after that moment.
"""

import threading
import time

from apisvc import errors, turns
from apisvc.storage import base

#: As many readers must have shared a call for the next one to wait for others.
CROWD = 4
#: Seconds without another reader after which it starts, and at most.
LULL, GATHERING = 0.0005, 0.004


class _Waiter:
    """A reader that waits for the next call."""

    __slots__ = ("answer", "called", "leads")

    def __init__(self) -> None:
        self.called = turns.Call()
        self.answer: int | errors.StoreUnavailable | None = None
        #: Whether it is the one to make the call.
        self.leads = False


class Gate:
    """Shares one "current revision" call among all who wait for it.

    Who arrives while a call is in flight cannot use its answer, which may be
    older than the arrival; so it waits for the next one, with all the others.
    The first of them makes it.
    """

    def __init__(self, store: base.Store) -> None:
        self._store = store
        self._mutex = threading.Lock()
        self._running = False
        #: Who shares the next call.
        self._waiting: list[_Waiter] = []
        #: How many shared the last one.
        self._shared = 0

    def revision(self, deadline: float) -> int:
        """A revision not older than this moment.

        :raises StoreUnavailable: the store did not say in time.
        """
        while True:
            answer, own = self._round(deadline)
            if isinstance(answer, int):
                return answer
            # Another's call may have failed because the other was in a hurry.
            if own or time.monotonic() >= deadline:
                raise errors.StoreUnavailable(answer.detail, retry_after=answer.retry_after)

    def _round(self, deadline: float) -> tuple[int | errors.StoreUnavailable, bool]:
        """An answer of a call that started after now, and whether the call was this thread's own."""
        with self._mutex:
            waiter = _Waiter() if self._running else None
            self._running = True
            if waiter is not None:
                self._waiting.append(waiter)
        if waiter is None:
            return self._lead(deadline), True
        # PERF: a lock of its own wakes a thread into nothing that it must share with the others.
        if not waiter.called.wait(deadline - time.monotonic()):
            with self._mutex:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                if not waiter.leads and waiter.answer is None:
                    return errors.StoreUnavailable("The store did not say its revision in time."), True
        if waiter.leads:
            return self._lead(deadline), True
        assert waiter.answer is not None, "one or the other, before it was called"
        return waiter.answer, False

    def _lead(self, deadline: float) -> int | errors.StoreUnavailable:
        """Make the call, for all who wait when it starts."""
        turns.gather(lambda: len(self._waiting), self._shared >= CROWD, LULL, GATHERING)
        with self._mutex:
            group, self._waiting = self._waiting, []
            self._shared = len(group) + 1
        answer: int | errors.StoreUnavailable = errors.StoreUnavailable()
        try:
            answer = self._store.revision(deadline=deadline)
        except errors.StoreUnavailable as error:
            answer = error
        finally:
            with self._mutex:
                for waiter in group:
                    waiter.answer = answer
                following = self._waiting.pop(0) if self._waiting else None
                if following is not None:
                    following.leads = True
                    group.insert(0, following)
                self._running = following is not None
            for waiter in group:
                waiter.called.give()
        return answer
