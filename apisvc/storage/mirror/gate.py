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
"""

import threading
import time

from apisvc import errors
from apisvc.storage import base


class Gate:
    """Shares one "current revision" call among all who wait for it.

    Who arrives while a call is in flight cannot use its answer, which may be
    older than the arrival; so it waits for the next one, with all the others.
    """

    def __init__(self, store: base.Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._started = 0  # number of the newest call
        self._running = False
        # Number of the newest call that ended, and what it said.
        self._ended: tuple[int, int | errors.StoreUnavailable] = (0, 0)

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
        with self._changed:
            mine = self._started + 1
            while self._running:
                if not self._changed.wait(deadline - time.monotonic()):
                    return errors.StoreUnavailable("The store did not say its revision in time."), True
                if self._ended[0] >= mine:
                    return self._ended[1], False
            self._started += 1
            self._running = True
            mine = self._started
        answer: int | errors.StoreUnavailable = errors.StoreUnavailable()
        try:
            answer = self._store.revision(deadline=deadline)
        except errors.StoreUnavailable as error:
            answer = error
        finally:
            with self._changed:
                self._running = False
                self._ended = (mine, answer)
                self._changed.notify_all()
        return answer, True
