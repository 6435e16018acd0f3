"""What one process holds of the store: the file, the signals, and the clock of leases."""

import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apisvc.storage.sqlite import database, signals, transactions

T = TypeVar("T")

#: Seconds the listener may wait for the file; then it tries again.
_PATIENCE = 1.0
#: The revision, and when the first lease ends (0: one is of an earlier boot).
_LOOK = "SELECT revision, (SELECT min(CASE boot WHEN ? THEN ends_at ELSE 0 END) FROM lease) FROM state"


class Process:
    """The store as one process uses it. Does no I/O before the first call; not to be used across a fork."""

    def __init__(self, path: str, synchronous: str, timeout: float) -> None:
        self._timeout = timeout
        self._boot: str | None = None
        self._database = database.Database(path, synchronous)
        self.signals = signals.Signals(
            path + ".wake", lambda: self.look(time.monotonic() + min(_PATIENCE, timeout))
        )

    def until(self, deadline: float | None) -> float:
        """The instant until when a call may take."""
        return time.monotonic() + self._timeout if deadline is None else deadline

    def now(self) -> transactions.Now:
        """This instant as leases are judged by it."""
        if self._boot is None:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                self._boot = file.read().strip()
        # Every process of the host reads the same monotonic clock, and nobody can set it.
        return transactions.Now(self._boot, time.monotonic())

    def read(self, sql: str, arguments: Sequence[Any], deadline: float | None) -> list[Any]:
        """The rows of one statement, all of one snapshot."""
        return self._database.read(sql, arguments, self.until(deadline))

    def examine(self, deadline: float | None) -> bool:
        """Whether there is a file; StoreUnavailable says what is wrong with it."""
        return self._database.examine(self.until(deadline))

    def write(self, work: Callable[[sqlite3.Connection], T], deadline: float | None) -> T:
        """Run ``work`` in a write transaction that leaves the revision as it is."""
        return self._database.write(work, self.until(deadline))

    def transact(
        self, work: Callable[[sqlite3.Connection], transactions.Outcome], deadline: float | None
    ) -> transactions.Outcome:
        """Run ``work`` in a write transaction and tell the watches when it moved the revision.

        Raises the outcome's refusal.
        """
        outcome = self._database.write(work, self.until(deadline))
        if outcome.moved:
            self.signals.announce(outcome.revision)
        if outcome.refusal is not None:
            raise outcome.refusal
        return outcome

    def look(self, until: float) -> tuple[int, float]:
        """The revision, and the seconds until the next lease ends. What is over ends here and now."""
        now = self.now()
        ((revision, ends_at),) = self._database.read(_LOOK, (now.boot,), until)
        if ends_at is None:
            return revision, math.inf
        if ends_at > now.seconds:
            return revision, ends_at - now.seconds
        outcome = self.transact(lambda connection: transactions.end_due_leases(connection, self.now()), until)
        return outcome.revision, 0.0

    def close(self) -> None:
        self.signals.stop()
        self._database.close()
