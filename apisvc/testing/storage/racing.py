"""Many threads at once: commits are serializable, reads are snapshots."""

import threading
from collections.abc import Callable

from apisvc.storage import base
from apisvc.testing.storage import harness

THREADS = 8
TURNS = 25


class Racing(harness.Harness):
    def test_no_increment_is_lost(self) -> None:
        self.put("counter", b"0")
        self.in_threads(*[self._increment(TURNS) for _ in range(THREADS)])
        self.assertEqual(str(THREADS * TURNS).encode(), getattr(self.one("counter"), "value", None))

    def test_one_of_many_creates_a_key(self) -> None:
        for turn in range(10):
            won: list[int] = []
            start = threading.Barrier(THREADS)
            self.in_threads(*[self._create(f"k{turn}", number, start, won) for number in range(THREADS)])
            self.assertEqual(1, len(won))
            self.assertEqual(str(won[0]).encode(), getattr(self.one(f"k{turn}"), "value", None))

    def test_a_quota_is_not_overspent(self) -> None:
        """Each guards the ledger that all of them write, as an instance create does."""
        self.put("ledger", b"0")
        self.in_threads(*[self._spend(number, 10, 30) for number in range(THREADS)])
        self.assertEqual(b"30", getattr(self.one("ledger"), "value", None))
        self.assertEqual(30, len(self.keys("spent/")))

    def test_reads_never_see_half_a_commit(self) -> None:
        keys = ["a", "b", "c"]
        self.store.commit([], [base.Put(key, b"0") for key in keys])
        done = threading.Event()

        def write() -> None:
            try:
                for turn in range(4 * TURNS):
                    self.store.commit([], [base.Put(key, str(turn).encode()) for key in keys])
            finally:
                done.set()

        def read() -> None:
            latest = 0
            while not done.is_set():
                snapshot = self.store.get(keys)
                self.assertEqual(1, len({record.value for record in snapshot.records.values()}))
                self.assertEqual(1, len({record.value for record in self.store.scan("").records}))
                self.assertGreaterEqual(snapshot.revision, latest)
                latest = snapshot.revision

        self.in_threads(write, read, read)

    def test_watches_see_every_commit_of_every_thread(self) -> None:
        after = self.store.revision()
        watches = [self.open_watch("", after) for _ in range(3)]
        seen: list[list[base.Change]] = []

        def watch(one: base.Watch) -> Callable[[], None]:
            return lambda: seen.append(self.changes(one, THREADS * TURNS))

        def write(name: int) -> Callable[[], None]:
            def run() -> None:
                for turn in range(TURNS):
                    self.put(str(name), str(turn).encode())

            return run

        self.in_threads(*map(watch, watches), *map(write, range(THREADS)))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])
        for name in range(THREADS):
            values = [change.value for change in seen[0] if change.key == str(name)]
            self.assertEqual([str(turn).encode() for turn in range(TURNS)], values)

    def _increment(self, times: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(times):
                while True:
                    record = self.store.get(["counter"]).records["counter"]
                    value = str(int(record.value) + 1).encode()
                    try:
                        self.store.commit(
                            [base.AtRevision("counter", record.revision)], [base.Put("counter", value)]
                        )
                        break
                    except base.Conflict:
                        continue

        return run

    def _create(self, key: str, number: int, start: threading.Barrier, won: list[int]) -> Callable[[], None]:
        def run() -> None:
            start.wait(harness.PATIENCE)
            try:
                self.store.commit([base.Absent(key)], [base.Put(key, str(number).encode())])
                won.append(number)
            except base.Conflict:
                return

        return run

    def _spend(self, name: int, times: int, quota: int) -> Callable[[], None]:
        def run() -> None:
            spent = 0
            while spent < times:
                ledger = self.store.get(["ledger"]).records["ledger"]
                if int(ledger.value) >= quota:
                    return
                used = str(int(ledger.value) + 1).encode()
                try:
                    self.store.commit(
                        [base.AtRevision("ledger", ledger.revision)],
                        [base.Put("ledger", used), base.Put(f"spent/{name}/{spent}", b"")],
                    )
                    spent += 1
                except base.Conflict:
                    continue

        return run
