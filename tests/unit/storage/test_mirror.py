"""What the mirror does beyond the contract: reads from memory, outages, stale reads, one look for one answer."""

import time
from unittest import mock

import fixtures

from apisvc import errors, turns
from apisvc.storage import base
from tests.functional import deployment
from tests.unit.storage import breakable, mirror_case

soon = mirror_case.soon


class TestMirror(mirror_case.MirrorCase):
    def test_reads_come_from_memory(self):
        self.put("a")
        self.assertEqual(b"1", self.read("a"))
        scans = self.store.scans
        self.store.get = None
        self.assertEqual(b"1", self.read("a"))
        self.assertEqual(["a"], [r.key for r in self.mirror.scan("a").records])
        self.assertEqual(scans, self.store.scans)

    def test_a_commit_is_seen_by_the_next_read(self):
        for turn in range(100):
            self.put("a", str(turn).encode())
            self.assertEqual(str(turn).encode(), self.read("a"))

    def test_an_error_that_nobody_expects_does_not_end_it(self):
        log = self.useFixture(fixtures.FakeLogger())
        watch = self.store.watch

        def once(*args, **how):
            self.store.watch = watch
            raise RuntimeError("odd")

        self.store.watch = once
        self.put("a")
        self.assertEqual(b"1", self.read("a"))
        self.put("a", b"2")
        self.assertEqual(b"2", self.read("a"))
        self.assertIn("RuntimeError: odd", log.output)

    def test_what_is_left_out_is_read_from_the_store(self):
        self.store.commit([], [base.Put(key, b"") for key in ["a", "events/1", "events/2", "f"]])
        self.read("a")
        self.assertEqual(2, len(self.mirror.follower.records))
        self.assertEqual(b"", self.read("events/1"))
        self.assertEqual(["events/1", "events/2"], [r.key for r in self.mirror.scan("events/").records])
        self.assertEqual(4, len(self.mirror.scan("").records))
        self.assertEqual(4, len(self.mirror.scan("", start="a").records))
        self.assertEqual(["events/1", "events/2"], [r.key for r in self.mirror.scan("ev").records])
        self.assertEqual(["f"], [r.key for r in self.mirror.scan("f").records])

    def test_without_the_store_reads_fail_within_their_deadline_and_come_back_by_themselves(self):
        self.put("a")
        self.read("a")
        self.store.away = True
        begun = time.monotonic()
        self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.3)
        self.assertLess(time.monotonic() - begun, 15)
        self.store.away = False
        self.put("a", b"2")
        self.assertEqual(b"2", self.read("a"))

    def test_who_asks_for_stale_reads_gets_them_with_their_age(self):
        self.put("a")
        self.read("a")
        self.store.away = True
        deployment.wait_for("a second has passed", lambda: self._age() > 0.3)
        with self.mirror.reading(max_stale=60) as moment:
            self.assertEqual(b"1", self.read("a"))
            self.assertEqual(["a"], [r.key for r in self.mirror.scan("a").records])
        self.assertTrue(0.3 < moment.age < 60, moment.age)
        with self.mirror.reading(max_stale=0.1):
            self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.1)
        with self.mirror.reading():
            self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.1)

    def test_who_was_given_stale_data_once_is_not_kept_waiting_again(self):
        self.put("a")
        self.read("a")
        self.store.held.clear()
        self.addCleanup(self.store.held.set)
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.store.PATIENCE", 30.0))
        with self.mirror.reading(max_stale=60) as moment:
            self.assertEqual(b"1", self.read("a", 0.2))
            begun = time.monotonic()
            self.assertEqual(b"1", self.read("a"))
            self.assertLess(time.monotonic() - begun, 15)
        self.assertIsNotNone(moment.age)

    def _age(self):
        return time.monotonic() - self.mirror.follower.complete_at

    def test_fresh_answers_have_no_age(self):
        self.put("a")
        with self.mirror.reading(max_stale=60) as moment:
            self.assertEqual(b"1", self.read("a"))
        self.assertIsNone(moment.age)

    def test_nothing_stale_is_served_before_the_first_load(self):
        self.store.away = True
        with self.mirror.reading(max_stale=60):
            self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.1)

    def test_what_was_asked_ahead_is_not_asked_again(self):
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.QUIET", 600.0))
        self.mirror.get(["a"])
        self.store.commit([], [base.Put("a", b"new")])
        asked = self.mirror.ahead(soon())
        calls = self.store.revisions
        with mock.patch.object(turns, "asked", return_value=asked):
            self.assertEqual(b"new", self.mirror.get(["a"]).records["a"].value)
        self.assertEqual(calls, self.store.revisions)
        # The copy had all that was there when that was asked; it is not known of any later moment.
        self.assertEqual(asked[1], self.mirror.follower.complete_at)

    def test_a_store_that_is_away_is_not_asked_ahead(self):
        self.store.away = True
        self.assertIsNone(self.mirror.ahead(soon(1)))

    def test_the_age_counts_from_when_it_was_last_known_to_be_current(self):
        """Also without readers it keeps looking."""
        self.put("a")
        self.read("a")
        first = self.mirror.follower.complete_at
        deployment.wait_for("it looks by itself", lambda: self.mirror.follower.complete_at > first)

    def test_reads_that_make_one_answer_ask_once(self):
        self.put("a")
        self.read("a")
        before = self.store.revisions
        with self.mirror.reading():
            for _ in range(5):
                self.read("a")
                self.mirror.scan("a")
        self.assertIn(self.store.revisions - before, (1, 2))  # it may just have looked by itself

    def test_an_answer_sees_its_own_commits(self):
        with self.mirror.reading():
            for turn in range(50):
                self.read("a")
                self.mirror.commit([], [base.Put("a", str(turn).encode())])
                self.assertEqual(str(turn).encode(), self.read("a"))

    def test_after_a_conflict_the_answer_looks_anew(self):
        revision = self.put("a")
        with self.mirror.reading():
            self.read("a")
            self.put("a", b"theirs")
            self.assertRaises(
                base.Conflict,
                self.mirror.commit,
                [base.AtRevision("a", revision)],
                [base.Put("a", b"mine")],
            )
            self.assertEqual(b"theirs", self.read("a"))

    def test_a_restored_older_store_is_shown_as_it_is(self):
        for turn in range(5):
            self.put("a", str(turn).encode())
        self.read("a")
        self.store.away = True
        self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.2)
        old = breakable.BreakableStore()
        old.commit([], [base.Put("a", b"old")])
        for name in ("_revision", "_compacted", "_keys", "_history", "_log"):
            setattr(self.store, name, getattr(old, name))
        self.store.away = False
        deployment.wait_for("the older state", lambda: self.read("a") == b"old")
