import concurrent.futures
import time

import fixtures
import testtools

from apisvc import errors
from apisvc.service import grouping
from apisvc.storage import base
from apisvc.storage.mirror import store as mirrors
from tests.unit.service import grouping_case


class GroupingTest(grouping_case.GroupingCase):
    def test_who_waits_is_committed_together_each_on_what_the_ones_before_wrote(self):
        first, futures = self.held(*(self.count(f"n{number}") for number in range(10)))
        self.store.free.set()
        self.result(first)
        done = [self.result(future) for future in futures]
        self.assertEqual(list(range(1, 11)), sorted(one.result for one in done))
        self.assertEqual(1, len({one.revision for one in done}))
        self.assertEqual(2, len(self.store.commits))
        self.assertEqual(b"10", self.value("ledger"))
        self.assertFalse(self.grouping._led)

    def test_who_is_refused_is_so_alone(self):
        def broken(txn):
            txn.put("never", 1)
            raise ZeroDivisionError("a bug")

        first, futures = self.held(
            self.count("a"), self.count("a"), broken, self.count("b", limit=2), self.count("c", limit=2)
        )
        self.store.free.set()
        self.result(first)
        # The last leads, as it may wait longest; then it is who came first.
        self.assertEqual([2, 1], [self.result(futures[number]).result for number in (0, 4)])
        self.assertRaises(errors.AlreadyExists, self.result, futures[1])
        self.assertRaises(ZeroDivisionError, self.result, futures[2])
        self.assertRaises(errors.QuotaExceeded, self.result, futures[3])
        self.assertEqual(2, len(self.store.commits))
        self.assertEqual({}, dict(self.store.get(["never", "names/b"]).records))

    def test_where_all_are_refused_nothing_is_committed(self):
        first, futures = self.held(self.count("a", limit=0), self.count("b", limit=0))
        self.store.free.set()
        self.result(first)
        for future in futures:
            self.assertRaises(errors.QuotaExceeded, self.result, future)
        self.assertEqual(1, self.store.asked)

    def test_twins_are_not_in_one_commit_and_the_second_repeats_the_first(self):
        first, futures = self.held(self.count("a"), self.count("a"), self.count("b"), key="the-same")
        self.store.free.set()
        self.result(first)
        outcomes = []
        for future in futures:
            error = future.exception(60)
            outcomes.append(error.record.revision if error else future.result().revision)
        self.assertEqual(1, len(set(outcomes)), "the same answer, with the revision of its commit")
        self.assertEqual(b"1", self.value("ledger"))

    def test_in_a_crowd_the_next_waits_for_those_who_still_come(self):
        first, futures = self.held(*(self.count(f"n{number}") for number in range(grouping.CROWD)))
        self.store.free.set()
        self.result(first)
        for future in futures:
            self.result(future)
        sleep, late = time.sleep, []

        def come(seconds):
            if seconds != 123.0:
                sleep(seconds)
            elif not late:
                late.append(self.submit(self.count("late")))
                self.wait("it waits", lambda: self.grouping._waiting)

        self.useFixture(fixtures.MonkeyPatch("apisvc.service.grouping.LULL", 123.0))
        self.useFixture(fixtures.MonkeyPatch("apisvc.service.grouping.GATHERING", 60.0))
        self.useFixture(fixtures.MonkeyPatch("time.sleep", come))
        done = self.grouping.transact(self.context(), self.count("early"))
        self.assertEqual(done.revision, self.result(late[0]).revision)

    def test_what_has_no_room_is_in_the_next(self):
        def large(name):
            def work(txn):
                txn.put(name, "x" * (base.MAX_COMMIT // 2 - 1000))

            return work

        first, futures = self.held(*(large(f"l{number}") for number in range(5)))
        self.store.free.set()
        self.result(first)
        for future in futures:
            self.result(future)
        self.assertEqual([2, 2, 2, 1], [len(commit) for commit in self.store.commits])

    def test_no_more_operations_than_a_commit_has(self):
        def many(name):
            return lambda txn: [txn.put(f"{name}/{number}", 1) for number in range(50)]

        first, futures = self.held(*(many(f"m{number}") for number in range(5)))
        self.store.free.set()
        self.result(first)
        for future in futures:
            self.result(future)
        self.assertEqual([2, 100, 100, 50], [len(commit) for commit in self.store.commits])

    def test_what_is_too_large_for_any_commit_fails_alone(self):
        def huge(txn):
            for number in range(base.MAX_OPS + 1):
                txn.put(f"huge/{number}", 1)

        first, futures = self.held(self.count("a"), huge, self.count("b"))
        self.store.free.set()
        self.result(first)
        self.assertRaises(base.InvalidOperation, self.result, futures[1])
        self.assertEqual({1, 2}, {self.result(futures[0]).result, self.result(futures[2]).result})

    def test_a_guard_of_ones_own_on_what_another_writes_is_checked_by_the_store(self):
        def guarded(txn):
            txn.guard(base.Absent("names/a"))
            txn.put("guarded", 1)

        first, futures = self.held(guarded, self.count("a"), seconds=1.0)
        self.store.free.set()
        self.result(first)
        self.result(futures[1])
        self.assertRaises(errors.Contention, self.result, futures[0])

    def test_who_waits_in_vain_has_written_nothing(self):
        first, futures = self.held(self.count("a"), seconds=0.2)
        self.assertRaises(errors.Contention, self.result, futures[0])
        self.store.free.set()
        self.result(first)
        self.assertEqual(1, self.grouping.transact(self.context(), self.count("a")).result)

    def test_who_cannot_wait_for_the_commit_does_not_know_what_became_of_it(self):
        first, futures = self.held(self.count("a"), self.count("b"), seconds=30)
        short = self.submit(self.count("c"), seconds=3)
        self.wait("it waits", lambda: len(self.grouping._waiting) == 3)
        asked = self.store.asked
        self.store.after = self.store.free.clear  # the first is made, and the group is held
        self.store.free.set()
        self.result(first)
        self.wait("the group is at its commit", lambda: self.store.asked > asked)
        self.assertRaises(errors.StoreUnavailable, self.result, short)
        self.store.free.set()
        self.assertEqual({1, 2, 3}, {self.result(f).result for f in futures} | {int(self.value("ledger"))})

    def test_where_the_thread_that_is_at_it_ends_the_others_are_told_and_go_on(self):
        def ended(txn):
            raise SystemExit

        first, futures = self.held(self.count("a"), self.count("b"), ended)  # the last one leads
        self.store.free.set()
        self.result(first)
        self.assertIsInstance(futures[2].exception(60), errors.StoreUnavailable | SystemExit)
        for future in futures[:2]:
            self.assertRaises(errors.StoreUnavailable, self.result, future)
        self.assertEqual(1, self.grouping.transact(self.context(), self.count("a")).result)

    def test_two_processes_lose_nothing(self):
        groupings = [self.grouping_on(self.store), self.grouping_on(self.store)]

        def create(number):
            return groupings[number % 2].transact(
                self.context(seconds=60), self.count(str(number), limit=150)
            )

        futures = [self.pool.submit(create, number) for number in range(200)]
        outcomes = [future.exception(90) for future in futures]
        refused = [error for error in outcomes if error is not None]
        self.assertEqual({errors.QuotaExceeded}, {type(error) for error in refused})
        self.assertEqual(50, len(refused))
        self.assertEqual(b"150", self.value("ledger"))
        self.assertEqual(150, len(self.store.scan("names/", limit=1000).records))


class OnAMirrorTest(testtools.TestCase):
    """Who works for others reads as currently as each of them must."""

    def setUp(self):
        super().setUp()
        self.store = grouping_case.HeldStore()
        self.mirror = mirrors.Mirror(self.store, left_out=())
        self.addCleanup(self.mirror.close)

    def put(self, key):
        return self.store.commit([], [base.Put(key, b"1")])

    def test_as_current_as_the_newest_of_those_it_reads_for(self):
        with self.mirror.reading() as older:
            self.mirror.get(["a"])
            self.put("a")
            with self.mirror.reading(of=[older]) as moment:
                self.mirror.get(["a"])
                self.assertEqual(older.revision, moment.revision)
            with self.mirror.reading(of=[older, self.moment_of_another()]):
                self.assertIn("a", self.mirror.get(["a"]).records)
            self.assertEqual(0, older.revision, "this one itself has seen nothing of that")

    def moment_of_another(self):
        def read():
            with self.mirror.reading() as moment:
                self.mirror.get(["a"])
                return moment

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(read).result(60)

    def test_who_has_not_asked_yet_gets_what_is_there_now(self):
        with self.mirror.reading() as older:
            self.mirror.get(["a"])
            self.put("a")
            for of in ([older, base.Moment()], []):
                with self.mirror.reading(of=of):
                    self.assertIn("a", self.mirror.get(["a"]).records)

    def test_who_was_committed_for_sees_it(self):
        for told in (1, None):
            with self.mirror.reading() as moment:
                before = self.mirror.get(["a"]).revision
                revision = self.put(f"b{told}")
                moment.saw(revision if told else None)
                self.assertGreater(self.mirror.get([f"b{told}"]).revision, before)
                self.assertIn(f"b{told}", self.mirror.get([f"b{told}"]).records)
