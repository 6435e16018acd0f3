"""commit: guards, atomicity, limits."""

from apisvc.storage import base
from apisvc.testing.storage import harness


class Committing(harness.Harness):
    def test_every_commit_moves_the_revision(self) -> None:
        before = self.store.revision()
        for step in range(3):
            after = self.put("a", b"same")
            self.assertGreater(after, before, f"step {step}")
            self.assertEqual(after, self.store.revision())
            before = after

    def test_all_writes_of_a_commit_bear_one_revision(self) -> None:
        self.put("gone")
        revision = self.store.commit([], [base.Put("a", b"1"), base.Delete("gone"), base.Put("b", b"2")])
        found = self.store.get(["a", "b", "gone"]).records
        self.assertEqual({"a": revision, "b": revision}, {key: r.revision for key, r in found.items()})

    def test_guard_at_revision(self) -> None:
        first = self.put("a", b"1")
        second = self.store.commit([base.AtRevision("a", first)], [base.Put("a", b"2")])
        for wrong in (first, second + 1, 0):
            self.refused(base.AtRevision("a", wrong))
        self.refused(base.AtRevision("missing", second))
        self.delete("a")
        self.refused(base.AtRevision("a", second))

    def test_guard_at_the_revision_of_another_key(self) -> None:
        first = self.put("a")
        self.refused(base.AtRevision("a", self.put("b")))
        self.store.commit([base.AtRevision("a", first)], [base.Put("a", b"2")])

    def test_guard_absent(self) -> None:
        self.store.commit([base.Absent("a")], [base.Put("a", b"1")])
        self.refused(base.Absent("a"))
        self.delete("a")
        self.store.commit([base.Absent("a")], [base.Put("a", b"2")])

    def test_guard_present(self) -> None:
        self.refused(base.Present("a"))
        self.put("a")
        self.store.commit([base.Present("a")], [base.Put("b", b"")])
        self.delete("a")
        self.refused(base.Present("a"))

    def test_one_guard_that_fails_stops_every_write(self) -> None:
        first = self.put("a")
        before = self.store.revision()
        with self.assertRaises(base.Conflict):
            self.store.commit(
                [base.AtRevision("a", first), base.Absent("b"), base.Present("c")],
                [base.Put("a", b"new"), base.Put("b", b"new"), base.Delete("a-too")],
            )
        self.assertEqual(["a"], self.keys())
        self.assertEqual(first, self.store.get(["a"]).records["a"].revision)
        self.assertEqual(before, self.store.revision())

    def test_guards_may_watch_other_keys_than_are_written(self) -> None:
        at = self.put("ledger")
        self.store.commit([base.AtRevision("ledger", at)], [base.Put("instance", b"")])
        self.assertEqual(["instance", "ledger"], self.keys())

    def test_without_writes_it_checks_the_guards(self) -> None:
        at = self.put("a")
        current = self.put("b")
        self.assertEqual(current, self.store.commit([base.AtRevision("a", at)], []))
        self.assertEqual(current, self.store.commit([], []))
        with self.assertRaises(base.Conflict):
            self.store.commit([base.Absent("a")], [])
        self.assertEqual(current, self.store.revision())

    def test_delete(self) -> None:
        self.put("a")
        self.put("ab")
        self.delete("a")
        self.assertIsNone(self.one("a"))
        self.assertEqual(["ab"], self.keys())

    def test_deleting_what_is_missing_makes_no_change(self) -> None:
        before = self.put("a")
        self.store.commit([], [base.Delete("missing")])
        after = self.store.commit([], [base.Delete("missing"), base.Put("b", b"")])
        changes = self.changes(self.open_watch("", before), 1)
        self.assertEqual([base.Change("b", b"", after)], changes)

    def test_as_many_guards_and_writes_as_the_contract_allows(self) -> None:
        keys = [f"k{number:03}" for number in range(base.MAX_OPS)]
        revision = self.store.commit(
            [base.Absent(f"other{number}") for number in range(base.MAX_OPS)],
            [base.Put(key, b"") for key in keys],
        )
        self.store.commit(
            [base.AtRevision(key, revision) for key in keys], [base.Delete(key) for key in keys]
        )
        self.assertEqual([], self.keys())

    def test_as_many_bytes_as_the_contract_allows(self) -> None:
        rest = base.MAX_COMMIT - base.MAX_VALUE - len("ab")
        revision = self.store.commit([], [base.Put("a", bytes(base.MAX_VALUE)), base.Put("b", bytes(rest))])
        self.assertEqual(revision, self.store.revision())

    def test_what_breaks_the_contract_is_refused_and_writes_nothing(self) -> None:
        too_many = base.MAX_OPS + 1
        before = self.store.revision()
        cases: list[tuple[str, list[base.Guard], list[base.Write]]] = [
            ("guards", [base.Absent(f"k{number}") for number in range(too_many)], []),
            ("writes", [], [base.Put(f"k{number}", b"") for number in range(too_many)]),
            ("size", [], [base.Put("k", bytes(base.MAX_VALUE + 1))]),
            ("sizes", [], [base.Put(f"k{number}", bytes(base.MAX_COMMIT // 2)) for number in range(2)]),
            ("twice", [], [base.Put("k", b"1"), base.Put("k", b"2")]),
            ("put and deleted", [], [base.Put("k", b"1"), base.Delete("k")]),
            ("no key", [], [base.Put("", b"")]),
            ("NUL", [base.Absent("a\0")], []),
            ("surrogate", [], [base.Delete("\udfff")]),
        ]
        for what, guards, writes in cases:
            with self.subTest(what=what), self.assertRaises(base.InvalidOperation):
                self.store.commit(guards, writes)
        self.assertEqual([], self.keys())
        self.assertEqual(before, self.store.revision())

    def refused(self, guard: base.Guard) -> None:
        before = self.store.revision()
        with self.assertRaises(base.Conflict):
            self.store.commit([guard], [base.Put("refused", b"")])
        self.assertIsNone(self.one("refused"))
        self.assertEqual(before, self.store.revision())
