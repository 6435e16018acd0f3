"""Several handles on the same data: what one does, the others see."""

from apisvc.storage import base
from apisvc.testing.storage import harness


class Sharing(harness.Harness):
    def open_another(self) -> base.Store:
        """Another handle, closed at the end of the test."""
        store = self.another_handle()
        self.addCleanup(store.close)
        return store

    def test_a_reopened_store_holds_everything(self) -> None:
        first = self.put("a", b"1")
        second = self.put("a", b"2")
        third = self.delete("a")
        fourth = self.put("b", b"4")
        self.store.close()
        self.store = self.another_handle()
        self.assertEqual(fourth, self.store.revision())
        self.assertEqual([base.Record("b", b"4", fourth, fourth)], list(self.store.scan("").records))
        self.assertEqual([b"1"], [record.value for record in self.store.scan("", revision=first).records])
        self.assertEqual(
            [second, third, fourth],
            [change.revision for change in self.changes(self.open_watch("", first), 3)],
        )
        self.assertGreater(self.put("c"), fourth)

    def test_a_reopened_store_remembers_its_compaction(self) -> None:
        first = self.put("a")
        second = self.put("a")
        self.store.compact(second)
        self.store.close()
        self.store = self.another_handle()
        with self.assertRaises(base.Compacted):
            self.store.scan("", revision=first)

    def test_a_commit_is_seen_by_the_next_read_anywhere(self) -> None:
        other = self.open_another()
        for turn in range(50):
            writer, reader = (self.store, other) if turn % 2 else (other, self.store)
            revision = writer.commit([], [base.Put("a", str(turn).encode())])
            self.assertEqual(str(turn).encode(), reader.get(["a"]).records["a"].value)
            self.assertEqual(revision, reader.revision())
            self.assertEqual([str(turn).encode()], [r.value for r in reader.scan("").records])

    def test_guards_hold_across_handles(self) -> None:
        other = self.open_another()
        revision = self.put("a")
        other.commit([base.AtRevision("a", revision)], [base.Put("a", b"theirs")])
        with self.assertRaises(base.Conflict):
            self.store.commit([base.AtRevision("a", revision)], [base.Put("a", b"mine")])

    def test_a_watch_sees_the_commits_of_another_handle(self) -> None:
        other = self.open_another()
        watch = self.open_watch("", self.store.revision())
        revisions = []
        for turn in range(20):
            revisions.append(other.commit([], [base.Put("a", str(turn).encode())]))
            (change,) = self.changes(watch, 1)
            self.assertEqual((revisions[-1], str(turn).encode()), (change.revision, change.value))

    def test_a_watch_survives_the_end_of_another_handle(self) -> None:
        watch = self.open_watch("", self.store.revision())
        other = self.another_handle()
        self.open_watch("", other.revision(), other)
        other.commit([], [base.Put("a", b"1")])
        other.close()
        self.put("a", b"2")
        self.assertEqual([b"1", b"2"], [change.value for change in self.changes(watch, 2)])

    def test_a_lease_outlives_the_handle_that_made_it(self) -> None:
        other = self.another_handle()
        lease = other.lease(2)
        other.commit([], [base.Put("a", b"", lease.id)])
        other.close()
        self.assertEqual(["a"], self.keys())
        self.eventually(lambda: self.one("a") is None, "the lease ends by itself")

    def test_a_lease_binds_keys_of_any_handle(self) -> None:
        lease = self.open_another().lease(60)
        self.put("a", b"", lease.id)
        lease.revoke()
        self.assertEqual([], self.keys())

    def test_a_compaction_is_seen_by_other_handles(self) -> None:
        other = self.open_another()
        first = self.put("a")
        self.store.compact(self.put("a"))
        with self.assertRaises(base.Compacted):
            other.scan("", revision=first)
