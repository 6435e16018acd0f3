"""Which process of a gunicorn takes a new connection: the one that has the fewest.

All of them are woken for it, and whoever is awake first gets it. Connections that are
kept alive then stay where they are: of 32 that came together, 16 to 31 were seen to fall
to one process of two, and with 31 the machine serves two thirds of what it does with 16.
So each process says, in memory that they share, how many it has, and leaves a connection
to one that has fewer, for a moment. Nothing depends on it: who takes it in the end is well.
"""

import mmap
import time

#: Seconds between two looks whether another has taken it, and in which it must have done so.
LOOK, PATIENCE = 0.001, 0.02
#: Seconds after which a process that said nothing is gone, or stopped: gunicorn's polling comes round every second.
FRESH = 2.0

#: More than any process has: of one that does not take connections yet.
_MANY = float("inf")


class Shares:
    """The connections of up to ``processes`` processes; of more, some share their count."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        # Two numbers for each: when it said it (``time.monotonic()``, 0: it is gone), and how many. Each is written whole.
        self._cells = memoryview(mmap.mmap(-1, 16 * processes)).cast("d")

    def enter(self) -> "Share":
        """Of a process that is about to be forked: in the place of the one that has been silent for longest."""
        place = min(range(self.processes), key=lambda place: self._cells[2 * place])
        self.write(place, _MANY)
        return Share(self, place)

    def write(self, place: int, connections: float | None) -> None:
        if connections is not None:
            self._cells[2 * place + 1] = connections
        self._cells[2 * place] = 0.0 if connections is None else time.monotonic()

    def fewest(self, besides: int) -> float:
        """How many connections the process has that has the fewest of those that live, ``besides`` one."""
        fresh = time.monotonic() - FRESH
        counts = [
            self._cells[2 * place + 1]
            for place in range(self.processes)
            if place != besides and self._cells[2 * place] > fresh
        ]
        return min(counts, default=_MANY)


class Share:
    """One process's part."""

    def __init__(self, shares: Shares, place: int) -> None:
        self._shares = shares
        self._place = place
        #: Since when a connection is left to others, and when that was last looked at.
        self._since = self._looked = 0.0

    def tell(self, connections: int | None) -> None:
        """How many there are now; None: this process takes no more."""
        self._shares.write(self._place, connections)

    def takes(self, connections: int) -> bool:
        """Whether this process, which has ``connections``, is to take the one that waits; else it looks again soon."""
        if self._shares.fewest(besides=self._place) >= connections:
            return True
        now = time.monotonic()
        if now - self._looked > PATIENCE:
            self._since = now  # what was left then is gone; this is another one
        self._looked = now
        if now - self._since < PATIENCE:
            return False
        self._looked = 0.0
        return True
