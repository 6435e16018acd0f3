"""What the mirror does beyond the contract: one question for many readers, outages, stale reads."""

import threading
import time
from unittest import mock

import fixtures
import testtools

from apisvc import errors, turns
from apisvc.storage import base
from apisvc.storage.mirror import follower, gate
from apisvc.storage.mirror import store as mirror
from tests.functional import deployment
from tests.unit.storage import breakable


def soon(seconds=30.0):
    return time.monotonic() + seconds


class TestGate(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = breakable.BreakableStore()
        self.gate = gate.Gate(self.store)

    def test_who_waits_together_asks_once(self):
        self.store.held.clear()
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(self.gate.revision(soon())), daemon=True)
            for _ in range(20)
        ]
        threads[0].start()
        deployment.wait_for("the first call", lambda: self.store.revisions == 1)
        revision = self.store.commit([], [base.Put("a", b"")])
        for thread in threads[1:]:
            thread.start()
        deployment.wait_for("the others", lambda: len(self.gate._waiting) == 19)
        self.store.held.set()
        for thread in threads:
            thread.join(30)
        self.assertEqual(2, self.store.revisions)
        # Who came after the commit sees it; the call of the first had begun before.
        self.assertEqual([0] + [revision] * 19, sorted(answers))

    def test_the_haste_of_one_is_not_the_failure_of_another(self):
        self.store.held.clear()
        failed = []

        def hasty():
            try:
                self.gate.revision(soon(0.2))
            except errors.StoreUnavailable:
                failed.append(True)

        first = threading.Thread(target=hasty, daemon=True)
        first.start()
        deployment.wait_for("the first call", lambda: self.store.revisions == 1)
        patient = []
        second = threading.Thread(target=lambda: patient.append(self.gate.revision(soon())), daemon=True)
        second.start()
        first.join(30)
        self.store.held.set()
        second.join(30)
        self.assertEqual(([True], [0]), (failed, patient))

    def test_nobody_waits_longer_than_his_deadline(self):
        self.store.held.clear()
        threading.Thread(target=lambda: self.gate.revision(soon()), daemon=True).start()
        deployment.wait_for("the first call", lambda: self.store.revisions == 1)
        begun = time.monotonic()
        self.assertRaises(errors.StoreUnavailable, self.gate.revision, soon(0.1))
        self.assertLess(time.monotonic() - begun, 15)
        self.store.held.set()

    def test_a_crowd_with_and_without_patience(self):
        """Nobody hangs, nobody is shown what was before he asked, and few calls serve many."""
        answered, wrong = [], []
        stop = threading.Event()
        revision = self.store.revision

        def far_away(*, deadline):
            answer = revision(deadline=deadline)
            stop.wait(0.001)
            return answer

        self.store.revision = far_away

        def write():
            while not stop.wait(0.0005):
                self.store.commit([], [base.Put("a", b"")])

        def ask(number):
            for turn in range(100):
                known = self.store._revision
                # Some give up while they wait, also those who would have made the next call.
                hasty = (number + turn) % 5 == 0
                try:
                    answer = self.gate.revision(soon(0.0005 if hasty else 30.0))
                except errors.StoreUnavailable:
                    wrong.extend([] if hasty else [f"{number} was refused"])
                    continue
                answered.append(answer)
                wrong.extend([f"{answer} after {known}"] if answer < known else [])

        threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(16)]
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        stop.set()
        writer.join(60)
        self.assertEqual([], [thread for thread in threads if thread.is_alive()])
        self.assertEqual([], wrong)
        self.assertGreaterEqual(len(answered), 16 * 80)
        self.assertLess(self.store.revisions, len(answered))
        # Nobody is left behind who would be woken by nobody.
        self.assertEqual(([], False), (self.gate._waiting, self.gate._running))


class TestMirror(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = breakable.BreakableStore()
        self.mirror = mirror.Mirror(self.store, left_out=("events/",), timeout=30.0)
        self.addCleanup(self.mirror.close)

    def put(self, key, value=b"1"):
        return self.store.commit([], [base.Put(key, value)])

    def read(self, key, seconds=30.0):
        record = self.mirror.get([key], deadline=soon(seconds)).records.get(key)
        return record.value if record else None

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

    def _limits_of_a_load(self, fails=lambda limit: False):
        """How many records each call of a load asked for."""
        asked = []
        scan = self.store.scan

        def noted(prefix, **how):
            asked.append(how["limit"])
            if fails(how["limit"]):
                raise errors.StoreUnavailable("too slow")
            return scan(prefix, **how)

        self.store.scan = noted
        self.read("a")
        self.assertEqual(4000, len(self.mirror.follower.records))
        return asked

    def _many(self, size):
        for part in range(0, 4000, 100):
            self.store.commit([], [base.Put(f"a/{n:05}", bytes(size)) for n in range(part, part + 100)])

    def test_pages_are_as_large_as_the_records_are_small(self):
        self._many(10)
        small, most = follower.PAGES
        # The last one looks for what follows the folder of them all.
        self.assertEqual([small, most, small], self._limits_of_a_load())

    def test_pages_of_large_records_are_bounded_by_bytes(self):
        self._many(8000)
        first, second, *others = self._limits_of_a_load()
        self.assertEqual((follower.PAGES[0], follower.BYTES // 8007), (first, second))
        self.assertEqual(3, len(others))

    def test_a_large_page_that_fails_is_asked_for_in_smaller_ones(self):
        self._many(10)
        small, most = follower.PAGES
        limits = self._limits_of_a_load(lambda limit: limit == most)
        self.assertEqual([small, most, most // 4, small], limits)

    def test_pages_within_a_folder_end_with_it(self):
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.PAGES", (2, 2)))
        keys = [*(f"a/{n}" for n in range(5)), "b", *(f"c/{n}" for n in range(4)), "events/1", "f", "g/1"]
        self.store.commit([], [base.Put(key, b"1") for key in keys])
        asked = []
        scan = self.store.scan

        def noted(prefix, **how):
            page = scan(prefix, **how)
            asked.append((prefix, [record.key for record in page.records]))
            return page

        self.store.scan = noted
        self.read("b")
        self.assertEqual(len(keys) - 1, len(self.mirror.follower.records))
        self.assertEqual(
            [
                ("", ["a/0", "a/1"]),
                ("a/", ["a/2", "a/3"]),
                ("a/", ["a/4"]),
                ("", ["b", "c/0"]),
                ("c/", ["c/1", "c/2"]),
                ("c/", ["c/3"]),
                ("", ["events/1", "f"]),
                ("", ["g/1"]),
            ],
            asked,
        )

    def test_what_the_watch_does_not_bring_is_loaded(self):
        """As on an etcd without space, where others wrote last."""
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.QUIET", 0.05))
        log = self.useFixture(fixtures.FakeLogger())
        watch = self.store.watch

        def deaf(*args, **how):
            opened = watch(*args, **how)
            opened.poll = lambda timeout: time.sleep(min(timeout, 0.05))
            return opened

        self.store.watch = deaf
        self.put("a")
        self.assertEqual(b"1", self.read("a"))
        self.put("a", b"2")
        self.assertEqual(b"2", self.read("a"))
        self.assertIn("does not bring all that is in it", log.output)

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

    def test_many_pages_are_loaded_without_what_is_left_out(self):
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.PAGES", (1000, 1000)))
        for part in range(0, 3000, 100):
            self.store.commit([], [base.Put(f"a/{n:05}", b"") for n in range(part, part + 100)])
            self.store.commit([], [base.Put(f"events/{n:05}", b"") for n in range(part, part + 100)])
        self.put("z")
        self.assertEqual(b"1", self.read("z"))
        self.assertEqual(3001, len(self.mirror.follower.records))
        self.assertEqual(5, self.store.scans)  # of them one in the events, to find where they end

    def test_it_loads_anew_when_the_store_has_forgotten_what_it_missed(self):
        self.put("a")
        self.put("gone")
        self.read("a")
        self.store.away = True
        self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.2)
        self.store.away = False
        self.put("a", b"2")
        self.store.commit([], [base.Delete("gone")])
        self.store.compact(self.put("b"))
        self.assertEqual((b"2", b"1", None), (self.read("a"), self.read("b"), self.read("gone")))

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
