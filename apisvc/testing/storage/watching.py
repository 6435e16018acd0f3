"""watch: nothing missed, nothing twice, in order, and an end when it is closed."""

import threading
import time

from apisvc.storage import base
from apisvc.testing.storage import harness


class Watching(harness.Harness):
    def test_watch_sees_what_comes(self) -> None:
        watch = self.open_watch("", self.store.revision())
        put = self.put("a", b"1")
        changed = self.put("a", b"2")
        deleted = self.delete("a")
        self.assertEqual(
            [base.Change("a", b"1", put), base.Change("a", b"2", changed), base.Change("a", None, deleted)],
            self.changes(watch, 3),
        )

    def test_watch_sees_what_was(self) -> None:
        first = self.put("a", b"1")
        second = self.delete("a")
        third = self.put("a", b"3")
        after_first = [base.Change("a", None, second), base.Change("a", b"3", third)]
        self.assertEqual(after_first, self.changes(self.open_watch("", first), 2))
        self.assertEqual(after_first[1:], self.changes(self.open_watch("", second), 1))
        self.assertIsNone(self.open_watch("", third).poll(0.05))

    def test_watch_goes_on_from_a_snapshot(self) -> None:
        self.put("a")
        page = self.store.scan("")
        revision = self.put("b", b"new")
        watch = self.open_watch("", page.revision)
        self.assertEqual([base.Change("b", b"new", revision)], self.changes(watch, 1))

    def test_watch_sees_its_prefix_only_and_moves_on(self) -> None:
        watch = self.open_watch("k/", self.store.revision())
        for key in ["k", "k0", "j/", "l"]:
            other = self.put(key)
        batch = watch.poll(harness.PATIENCE)
        while batch is not None and batch.revision < other:
            self.assertEqual([], list(batch.changes))
            batch = watch.poll(harness.PATIENCE)
        self.assertEqual(base.Batch(other, []), batch)
        mine = self.put("k/1", b"mine")
        self.assertEqual([base.Change("k/1", b"mine", mine)], self.changes(watch, 1))

    def test_a_change_tells_all_that_a_read_would(self) -> None:
        lease = self.store.lease(60)
        watch = self.open_watch("", self.store.revision())
        created = self.put("a", b"1")
        self.put("a", b"2", lease.id)
        records = [self.one("a")]
        self.delete("a")
        self.put("a", b"3")
        records += [None, self.one("a")]
        first, *others = self.changes(watch, 4)
        self.assertEqual((created, None), (first.created, first.lease))
        for change, record in zip(others, records, strict=True):
            if record is None:
                self.assertIsNone(change.value)
                continue
            assert change.value is not None
            told = base.Record(change.key, change.value, change.revision, change.created, change.lease)
            self.assertEqual(record, told)

    def test_a_batch_never_cuts_a_commit(self) -> None:
        after = self.store.revision()
        watch = self.open_watch("", after)
        keys = [f"k{number:03}" for number in range(base.MAX_OPS)]
        revisions = [
            self.store.commit([], [base.Put(key, str(turn).encode()) for key in keys]) for turn in range(3)
        ]
        seen: list[base.Change] = []
        while len(seen) < 3 * len(keys):
            batch = watch.poll(harness.PATIENCE)
            assert batch is not None
            self.assertGreater(batch.revision, after)
            self.assertTrue(all(after < change.revision <= batch.revision for change in batch.changes))
            seen += batch.changes
            after = batch.revision
        expected = [(revision, key) for revision in revisions for key in keys]
        self.assertEqual(expected, sorted((change.revision, change.key) for change in seen))
        self.assertEqual([change.revision for change in seen], sorted(change.revision for change in seen))

    def test_a_watch_far_behind_sees_everything(self) -> None:
        after = self.store.revision()
        revisions = [self.put(f"k{number % 7}", str(number).encode()) for number in range(600)]
        changes = self.changes(self.open_watch("", after), 600)
        self.assertEqual(revisions, [change.revision for change in changes])
        self.assertEqual([str(number).encode() for number in range(600)], [c.value for c in changes])

    def test_watch_across_a_compaction(self) -> None:
        first = self.put("a", b"1")
        second = self.put("a", b"2")
        third = self.delete("a")
        self.store.compact(second)
        with self.assertRaises(base.Compacted) as gone:
            self.open_watch("", first).poll(harness.PATIENCE)
        self.assertEqual(second, gone.exception.revision)
        watch = self.open_watch("", gone.exception.revision)
        self.assertEqual([base.Change("a", None, third)], self.changes(watch, 1))

    def test_a_watch_that_falls_behind_a_compaction_is_told(self) -> None:
        watch = self.open_watch("", self.put("a"))
        self.put("a")
        self.store.compact(self.put("a"))
        with self.assertRaises(base.Compacted):
            watch.poll(harness.PATIENCE)

    def test_a_watch_up_to_date_survives_a_compaction(self) -> None:
        watch = self.open_watch("", self.store.revision())
        self.put("a")
        self.changes(watch, 1)
        self.store.compact(self.store.revision())
        revision = self.put("b", b"new")
        self.assertEqual([base.Change("b", b"new", revision)], self.changes(watch, 1))

    def test_watch_after_a_revision_never_reached(self) -> None:
        ahead = self.put("a") + 1000
        with self.assertRaises(base.Compacted):
            self.open_watch("", ahead).poll(harness.PATIENCE)

    def test_poll_returns_when_its_time_is_over(self) -> None:
        watch = self.open_watch("", self.store.revision())
        begun = time.monotonic()
        self.assertIsNone(watch.poll(0.2))
        self.assertLess(0.15, time.monotonic() - begun)
        self.assertIsNone(watch.poll(0))
        self.assertLess(time.monotonic() - begun, harness.PATIENCE)

    def test_a_commit_wakes_a_poll(self) -> None:
        watch = self.open_watch("", self.store.revision())
        polling = threading.Event()
        committed: list[int] = []

        def commit() -> None:
            polling.wait(harness.PATIENCE)
            committed.append(self.put("a"))

        def poll() -> None:
            polling.set()
            batch = watch.poll(harness.PATIENCE)
            assert batch is not None
            self.assertEqual(["a"], [change.key for change in batch.changes])

        self.in_threads(commit, poll)
        self.assertEqual(1, len(committed))

    def test_close_ends_a_blocked_next(self) -> None:
        watch = self.open_watch("", self.store.revision())
        self.assertFalse(watch.closed)
        reading = threading.Event()

        def read() -> None:
            reading.set()
            self.assertEqual([], list(watch))

        def close() -> None:
            reading.wait(harness.PATIENCE)
            watch.close()
            watch.close()

        self.in_threads(read, close)
        self.assertTrue(watch.closed)
        self.assertIsNone(watch.poll(harness.PATIENCE))
        with self.assertRaises(StopIteration):
            next(watch)

    def test_closing_the_store_ends_its_watches(self) -> None:
        watch = self.open_watch("", self.store.revision())
        reading = threading.Event()

        def read() -> None:
            reading.set()
            self.assertEqual([], list(watch))

        def close() -> None:
            reading.wait(harness.PATIENCE)
            self.store.close()

        self.in_threads(read, close)

    def test_a_watch_is_a_context_manager(self) -> None:
        with self.store.watch("", after=self.store.revision()) as watch:
            self.put("a")
            self.assertEqual(["a"], [change.key for change in next(watch).changes])
        self.assertTrue(watch.closed)

    def test_many_watches_at_once(self) -> None:
        after = self.store.revision()
        watches = [self.open_watch(f"k{number}/", after) for number in range(20)]
        everything = self.open_watch("", after)
        for number in range(20):
            self.put(f"k{number}/x")
        for number, watch in enumerate(watches):
            self.assertEqual([f"k{number}/x"], [change.key for change in self.changes(watch, 1)])
        self.changes(everything, 20)
