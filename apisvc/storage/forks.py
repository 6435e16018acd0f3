"""What belongs to one process and must not be used by its children: connections, threads, locks."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Moves with every fork, in the child. PERF: os.getpid() is a system call, a dozen times a request.
_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class Fence:
    """Lets no fork happen while a thread is within.

    What a library has locked for itself just then stays locked in the child
    for ever, for the thread that would unlock it is not there.
    """

    #: Seconds that a fork waits at most for those within.
    PATIENCE = 10.0

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(
            before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._begin
        )

    def _begin(self) -> None:
        # PERF: The lock itself costs a fraction of the condition, and nearly nobody waits.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._within = 0
        self._forking = 0

    def __enter__(self) -> None:
        with self._lock:
            while self._forking:
                self._changed.wait()
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if self._forking:
                self._changed.notify_all()

    def _before_fork(self) -> None:
        with self._changed:
            self._forking += 1
            self._changed.wait_for(lambda: not self._within, self.PATIENCE)

    def _after_fork(self) -> None:
        with self._changed:
            self._forking -= 1
            self._changed.notify_all()


class PerProcess(Generic[T]):
    """One ``T`` a process, made when it is first asked for.

    What a parent made stays in its children untouched: neither SQLite nor grpc
    bears even being closed there.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """This process's; threads that arrive together get the same one."""
        try:
            return self._made[_forks]
        except KeyError:
            return self._made.setdefault(_forks, self._make())

    def pop(self) -> T | None:
        """This process's, to be closed, if it has been made; the next ``get`` makes another."""
        return self._made.pop(_forks, None)
