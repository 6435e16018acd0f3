"""Calls to one backend from many threads, so that one that hangs or is down costs the others nothing."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from apisvc import errors, turns
from apisvc.compute import base as compute

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Says that the backend itself is in trouble; counts towards opening the breaker.
_TROUBLE = (compute.Unavailable, compute.Timeout, compute.Unauthorized, compute.DriverBug)


class Breaker:
    """Bounds the calls under way, and after failures in a row asks no more for a pause.

    Closed: all calls pass. Open: none does, until the pause is over. Then one
    call is let through: its success closes, its failure opens again.
    """

    def __init__(
        self,
        name: str,
        *,
        calls: int,
        failures: int,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._slots = threading.BoundedSemaphore(calls)
        self._most_failures = failures
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._asked_again_at = 0.0
        self._trying = False

    def start(self, work: Callable[[], T]) -> "Call[T]":
        """Begin ``work`` in a thread of its own, which may outlive the wait for it.

        :raises BackendUnavailable: the breaker is open, or too many calls are under way.
        """
        if not self._slots.acquire(blocking=False):
            raise errors.BackendUnavailable(f"Backend {self._name!r} is busy with other calls; try again.")
        try:
            call = Call(work, self._admit())
        except errors.BackendUnavailable:
            self._slots.release()
            raise

        def run() -> None:
            try:
                call.run(self._name)
            finally:
                self._slots.release()

        # Daemons: a call that hangs must not keep the process from ending.
        threading.Thread(target=run, name=f"live-{self._name}", daemon=True).start()
        return call

    def _admit(self) -> Callable[[bool], None]:
        """What to tell how the call ended."""
        with self._lock:
            if self._failures < self._most_failures:
                return self._count
            wait = self._asked_again_at - self._clock()
            if wait <= 0 and not self._trying:
                self._trying = True
                return self._count_trial
        raise errors.BackendUnavailable(
            f"Backend {self._name!r} failed several times in a row and is left alone for a while.",
            retry_after=max(1.0, wait),
        )

    def _count(self, success: bool) -> None:
        with self._lock:
            self._failures = 0 if success else self._failures + 1
            if self._failures >= self._most_failures:
                self._asked_again_at = self._clock() + self._pause

    def _count_trial(self, success: bool) -> None:
        self._count(success)
        with self._lock:
            self._trying = False


class Call(Generic[T]):
    """A call under way. Its end counts once: when it ends, or when somebody has waited in vain."""

    def __init__(self, work: Callable[[], T], count: Callable[[bool], None]) -> None:
        self._work = work
        self._count: Callable[[bool], None] | None = count
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._results: list[T] = []
        self._error: compute.DriverError | None = None
        self._discard: Callable[[T], None] | None = None

    def run(self, name: str) -> None:
        """Do the work; for the call's own thread."""
        try:
            self._results.append(self._work())
        except compute.DriverError as error:
            self._error = error
        except Exception as error:
            LOG.exception("The driver of backend %s raised what it may not raise", name)
            self._error = compute.DriverBug(type(error).__name__)
        self._settle(not isinstance(self._error, _TROUBLE))
        with self._lock:
            self._ended.set()
            discard = self._discard
        if discard is not None and self._results:
            discard(self._results[0])

    def result(self, deadline: float, discard: Callable[[T], None] | None = None) -> T:
        """What the work returned. ``discard`` gets what it returns when nobody waits for it any more.

        :raises DriverError: what it raised, or Timeout when it has not ended by ``deadline``.
        """
        with turns.waiting():
            ended = self._ended.wait(max(0.0, deadline - time.monotonic()))
        if not ended:
            with self._lock:
                late = not self._ended.is_set()
                self._discard = discard if late else None
            if late:
                self._settle(False)
                raise compute.Timeout()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _settle(self, success: bool) -> None:
        with self._lock:
            count, self._count = self._count, None
        if count is not None:
            count(success)
