"""get, scan, revision, ping: what reads promise."""

import time

from apisvc import errors
from apisvc.storage import base
from apisvc.testing.storage import harness

#: Keys in the order of their UTF-8 bytes, which is neither that of UTF-16 nor of any language.
ORDERED = ["A", "B/", "B/0", "B/~", "B0", "a", "a\x7f", "\u00e9", "\uffee", "\U0001f600"]


class Reading(harness.Harness):
    def test_the_contract_version_is_known(self) -> None:
        self.assertEqual(base.CONTRACT.split(".")[0], self.store.contract.split(".")[0])

    def test_a_new_store_holds_nothing(self) -> None:
        page = self.store.scan("")
        self.assertEqual(([], False), (list(page.records), page.more))
        self.assertEqual({}, dict(self.store.get(["a", "b"]).records))
        self.assertEqual(page.revision, self.store.revision())

    def test_get_answers_what_was_put(self) -> None:
        revision = self.put("a", b"\x00\xff")
        snapshot = self.store.get(["a", "missing"])
        self.assertEqual({"a": base.Record("a", b"\x00\xff", revision, revision)}, dict(snapshot.records))
        self.assertEqual(revision, snapshot.revision)

    def test_get_takes_a_key_twice_and_no_key(self) -> None:
        revision = self.put("a")
        self.assertEqual(["a"], list(self.store.get(["a", "a"]).records))
        self.assertEqual(base.Snapshot(revision, {}), self.store.get([]))

    def test_get_takes_as_many_keys_as_the_contract_allows(self) -> None:
        keys = [f"k{number:03}" for number in range(base.MAX_OPS)]
        self.store.commit([], [base.Put(key, key.encode()) for key in keys])
        found = self.store.get(keys).records
        self.assertEqual([key.encode() for key in keys], [found[key].value for key in keys])
        with self.assertRaises(base.InvalidOperation):
            self.store.get([*keys, "one-more"])

    def test_a_record_knows_its_creation(self) -> None:
        created = self.put("a", b"1")
        changed = self.put("a", b"2")
        self.assertEqual(base.Record("a", b"2", changed, created), self.one("a"))
        self.delete("a")
        again = self.put("a", b"3")
        self.assertEqual(base.Record("a", b"3", again, again), self.one("a"))

    def test_values_may_be_empty_and_as_large_as_allowed(self) -> None:
        large = bytes(range(256)) * (base.MAX_VALUE // 256)
        self.store.commit([], [base.Put("empty", b""), base.Put("large", large)])
        found = self.store.get(["empty", "large"]).records
        self.assertEqual(b"", found["empty"].value)
        self.assertEqual(large, found["large"].value)

    def test_keys_may_be_any_text_of_the_allowed_size(self) -> None:
        keys = ["k" * base.MAX_KEY, "\u00e9" * (base.MAX_KEY // 2), "\n %_?*[]'\"\\\x01"]
        self.store.commit([], [base.Put(key, b"") for key in keys])
        self.assertEqual(sorted(keys), sorted(self.store.get(keys).records))
        self.assertEqual(sorted(keys), sorted(self.keys()))

    def test_keys_outside_the_contract_are_refused(self) -> None:
        for key in ["", "a\0b", "k" * (base.MAX_KEY + 1), "\u00e9" * (base.MAX_KEY // 2 + 1), "\ud800"]:
            with self.subTest(key=key[:8]), self.assertRaises(base.InvalidOperation):
                self.store.get([key])

    def test_scan_is_in_the_order_of_bytes(self) -> None:
        self.store.commit([], [base.Put(key, b"") for key in reversed(ORDERED)])
        self.assertEqual(ORDERED, self.keys())

    def test_scan_takes_a_prefix_literally(self) -> None:
        self.store.commit([], [base.Put(key, b"") for key in ORDERED])
        for prefix in ["", "B", "B/", "B/0", "a", "\u00e9", "\U0001f600", "B%", "_", "*"]:
            with self.subTest(prefix=prefix):
                self.assertEqual([key for key in ORDERED if key.startswith(prefix)], self.keys(prefix))

    def test_scan_starts_at_a_key(self) -> None:
        self.store.commit([], [base.Put(key, b"") for key in ORDERED])
        for start, expected in {
            "B/0": ["B/0", "B/~"],
            "B/00": ["B/~"],
            "A": ["B/", "B/0", "B/~"],
            "Z": [],
            "B/~\0": [],
        }.items():
            with self.subTest(start=start):
                page = self.store.scan("B/", start=start)
                self.assertEqual(expected, [record.key for record in page.records])
                self.assertFalse(page.more)

    def test_scan_stops_at_the_limit_and_says_so(self) -> None:
        self.store.commit([], [base.Put(f"k{number}", b"") for number in range(5)])
        self.put("l")
        for limit, more in [(1, True), (4, True), (5, False), (6, False)]:
            with self.subTest(limit=limit):
                page = self.store.scan("k", limit=limit)
                self.assertEqual((min(limit, 5), more), (len(page.records), page.more))
        with self.assertRaises(base.InvalidOperation):
            self.store.scan("k", limit=0)

    def test_pages_of_one_revision_are_one_snapshot(self) -> None:
        self.store.commit([], [base.Put(f"k{number}", b"old") for number in range(7)])
        page = self.store.scan("k", limit=3)
        seen, revision = list(page.records), page.revision
        # Before, within and after what was read: changed, deleted, added.
        self.store.commit(
            [], [base.Put("k0", b"new"), base.Put("k4", b"new"), base.Delete("k5"), base.Put("k45", b"new")]
        )
        while page.more:
            page = self.store.scan("k", start=seen[-1].key + "\0", limit=3, revision=revision)
            self.assertEqual(revision, page.revision)
            seen += page.records
        self.assertEqual([(f"k{number}", b"old") for number in range(7)], [(r.key, r.value) for r in seen])

    def test_scan_shows_the_past(self) -> None:
        first = self.put("a", b"1")
        second = self.put("a", b"2")
        third = self.delete("a")
        fourth = self.put("a", b"4")
        for revision, expected in {
            first: [base.Record("a", b"1", first, first)],
            second: [base.Record("a", b"2", second, first)],
            third: [],
            fourth: [base.Record("a", b"4", fourth, fourth)],
        }.items():
            with self.subTest(revision=revision):
                page = self.store.scan("", revision=revision)
                self.assertEqual((revision, expected), (page.revision, list(page.records)))

    def test_compaction_takes_the_past(self) -> None:
        first = self.store.commit([], [base.Put("a", b"1"), base.Put("b", b"1")])
        second = self.store.commit([], [base.Put("a", b"2"), base.Delete("b")])
        third = self.put("a", b"3")
        for _ in range(2):
            self.store.compact(second)
        with self.assertRaises(base.Compacted) as gone:
            self.store.scan("", revision=first)
        self.assertEqual(second, gone.exception.revision)
        self.assertEqual([b"2"], [record.value for record in self.store.scan("", revision=second).records])
        self.assertEqual([b"3"], [record.value for record in self.store.scan("", revision=third).records])
        self.store.compact(first)
        with self.assertRaises(base.Compacted):
            self.store.scan("", revision=first)
        self.assertEqual(third, self.store.revision())

    def test_compaction_keeps_what_is_current(self) -> None:
        created = self.store.commit([], [base.Put("a", b"1"), base.Put("gone", b"1")])
        changed = self.store.commit([], [base.Put("a", b"2"), base.Delete("gone")])
        self.store.compact(self.store.revision())
        self.assertEqual([base.Record("a", b"2", changed, created)], list(self.store.scan("").records))
        self.assertEqual(changed, self.store.revision())

    def test_a_revision_that_was_never_reached_is_not_history(self) -> None:
        revision = self.put("a")
        with self.assertRaises(base.Compacted) as ahead:
            self.store.scan("", revision=revision + 1000)
        self.assertEqual(revision, ahead.exception.revision)

    def test_ping(self) -> None:
        before = self.store.revision()
        self.store.ping()
        self.assertEqual(before, self.store.revision())

    def test_no_call_outlives_its_deadline(self) -> None:
        """With a deadline that is over, a call answers StoreUnavailable or its result, at once."""
        lease = self.store.lease(60)
        past = time.monotonic() - 1
        for name, call in {
            "get": lambda: self.store.get(["a"], deadline=past),
            "scan": lambda: self.store.scan("", deadline=past),
            "revision": lambda: self.store.revision(deadline=past),
            "commit": lambda: self.store.commit([], [base.Put("a", b"")], deadline=past),
            "compact": lambda: self.store.compact(1, deadline=past),
            "ping": lambda: self.store.ping(deadline=past),
            "lease": lambda: self.store.lease(60, deadline=past),
            "keep_alive": lambda: lease.keep_alive(deadline=past),
            "revoke": lambda: lease.revoke(deadline=past),
            "watch": lambda: self.open_watch("", self.store.revision()),
        }.items():
            with self.subTest(call=name):
                begun = time.monotonic()
                try:
                    call()  # type: ignore[no-untyped-call]
                except errors.StoreUnavailable as error:
                    self.assertTrue(error.detail)
                self.assertLess(time.monotonic() - begun, harness.PATIENCE / 2)
        # And the store works on.
        self.put("b")

    def test_examine_tells_something_and_changes_nothing(self) -> None:
        before = self.store.commit([], [base.Put("a", b"1")])
        self.assertTrue(self.store.examine())
        self.assertEqual(before, self.store.revision())
