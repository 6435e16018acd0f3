"""What belongs to one process and must not be used by its children: connections, threads, locks."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Moves with every fork, in the child. PERF: os.getpid() is a system call, a dozen times a request.
_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


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
