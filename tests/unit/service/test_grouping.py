import concurrent.futures
import threading
import time

import fixtures
import testtools
from cryptography import fernet

from apisvc import errors
from apisvc.model import events
from apisvc.service import context, grouping, secrets, transaction
from apisvc.storage import base, memory
from apisvc.storage.mirror import store as mirrors
from tests.functional import deployment


class HeldStore(memory.MemoryStore):
    """Its commits wait while it is held; one may be told what becomes of it."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        #: How many commits have come, and the writes of those that were made.
        self.asked = 0
        self.commits = []
        #: Called in the next commit: ``before`` it is made, and ``after`` that.
        self.before = self.after = None

    def commit(self, guards, writes, *, deadline=None):
        self.asked += 1
        if not self.free.wait(30):
            raise AssertionError("nobody let it go")
        before, self.before = self.before, None
        if before:
            before()
        revision = super().commit(guards, writes, deadline=deadline)
        self.commits.append([write.key for write in writes])
        after, self.after = self.after, None
        if after:
            after()
        return revision


def lost():
    raise errors.StoreUnavailable("lost sight of it")


class GroupingTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = HeldStore()
        self.addCleanup(self.store.close)
        self.box = secrets.SecretBox([fernet.Fernet.generate_key()])
        self.grouping = self.grouping_on(self.store)
        self.pool = concurrent.futures.ThreadPoolExecutor(64)
        self.addCleanup(self.pool.shutdown)
        self.addCleanup(self.store.free.set)

    def grouping_on(self, store):
        return grouping.Grouping(transaction.Transactor(store, self.box, context.Clock(), context.Ids()))

    def context(self, key=None, seconds=30.0):
        replayable = key and context.Replayable(
            key=f"replays/{key}", fingerprint="f", render=lambda result: (201, "/x", str(result).encode())
        )
        actor = events.Actor(kind="user", id="u")
        return context.Context(actor=actor, deadline=time.monotonic() + seconds, replayable=replayable)

    def count(self, name, limit=1000, ledger="ledger"):
        """Take a name, and one of what the ledger has."""

        def work(txn):
            if txn.read(f"names/{name}", str) is not None:
                raise errors.AlreadyExists(f"{name} is there")
            found = txn.read(ledger, int)
            used = found.value if found else 0
            if used >= limit:
                raise errors.QuotaExceeded(f"{used} used")
            txn.put(f"names/{name}", "x")
            txn.put(ledger, used + 1)
            return used + 1

        return work

    def submit(self, work, **kw):
        return self.pool.submit(self.grouping.transact, self.context(**kw), work)

    def held(self, *works, **kw):
        """Futures of ``works``, all of which wait behind a commit that is held."""
        self.store.free.clear()
        asked = self.store.asked
        first = self.submit(self.count("first", ledger="another"))
        self.wait("the first is at its commit", lambda: self.store.asked > asked)
        futures = []
        for number, work in enumerate(works):
            futures.append(self.submit(work, **kw))
            self.wait("it waits", lambda n=number: len(self.grouping._waiting) > n)
        return first, futures

    def wait(self, what, holds):
        deployment.wait_for(what, holds)

    def value(self, key):
        return self.store.get([key]).records[key].value

    def result(self, future):
        return future.result(60)

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

    def quicker(self, work):
        """When the first is made, and before the group is, another process does this."""
        other = transaction.Transactor(self.store, self.box, context.Clock(), context.Ids())
        self.store.after = lambda: setattr(self.store, "before", lambda: other.transact(self.context(), work))

    def test_after_a_conflict_all_is_decided_anew(self):
        first, futures = self.held(self.count("b", limit=2), self.count("a", limit=2))
        self.quicker(self.count("theirs"))
        self.store.free.set()
        self.result(first)
        self.assertEqual(2, self.result(futures[1]).result)
        refused = self.assertRaises(errors.QuotaExceeded, self.result, futures[0])
        self.assertEqual("2 used", refused.detail)
        self.assertEqual(b"2", self.value("ledger"))

    def test_after_a_conflict_only_those_are_worked_anew_whom_it_concerns(self):
        worked = []

        def counted(name, ledger="ledger"):
            count = self.count(name, ledger=ledger)

            def work(txn):
                worked.append(name)
                return count(txn)

            return work

        first, futures = self.held(
            counted("a", "mine"), counted("b"), counted("c", "mine"), counted("d"), counted("e", "mine")
        )
        self.quicker(self.count("theirs"))
        self.store.free.set()
        self.result(first)
        done = [self.result(future).result for future in futures]
        # The last leads; those after it build on what is not committed yet, and so are worked again.
        self.assertEqual([2, 2, 3, 3, 1], done)
        self.assertEqual(["e", "a", "b", "c", "d", "a", "b", "c", "d"], worked)
        self.assertEqual((b"3", b"3"), (self.value("mine"), self.value("ledger")))
        self.assertEqual(3, len(self.store.commits))

    def test_who_was_refused_may_have_room_after_a_conflict(self):
        self.grouping.transact(self.context(), self.count("theirs"))
        first, futures = self.held(self.count("a", limit=1), self.count("b", ledger="mine"))

        def less(txn):
            txn.read("mine", int)
            txn.put("mine", 5)
            txn.put("ledger", 0)

        self.quicker(less)
        self.store.free.set()
        self.result(first)
        self.assertEqual([1, 6], [self.result(future).result for future in futures])

    def test_a_conflict_without_end_ends_at_the_deadline(self):
        other = transaction.Transactor(self.store, self.box, context.Clock(), context.Ids())

        def work(txn):
            txn.read("counter", int)
            other.transact(self.context(), lambda theirs: theirs.put("counter", 1))
            txn.put("counter", 2)

        self.assertRaises(errors.Contention, self.grouping.transact, self.context(seconds=0.2), work)
        self.assertFalse(self.grouping._led)

    def test_in_doubt_each_finds_what_became_of_its_own(self):
        self.store.free.clear()
        asked = self.store.asked
        first = self.submit(self.count("first", ledger="another"))
        self.wait("the first is at its commit", lambda: self.store.asked > asked)
        known = [self.submit(self.count(f"k{number}"), key=f"key-{number}") for number in range(3)]
        unknown = self.submit(self.count("u"))
        self.wait("all wait", lambda: len(self.grouping._waiting) == 4)
        self.store.after = lambda: setattr(self.store, "after", lost)
        self.store.free.set()
        self.result(first)
        for future in known:
            replayed = self.assertRaises(transaction.Replayed, self.result, future)
            self.assertIn(self.box.decrypt(replayed.record.value.answer), (b"1", b"2", b"3", b"4"))
        self.assertRaises(errors.StoreUnavailable, self.result, unknown)
        self.assertEqual(b"4", self.value("ledger"))

    def test_lost_before_it_was_made_nothing_is_there_and_the_next_go_on(self):
        first, futures = self.held(self.count("a"), self.count("b"))
        self.store.after = lambda: setattr(self.store, "before", lost)
        self.store.free.set()
        self.result(first)
        for future in futures:
            self.assertRaises(errors.StoreUnavailable, self.result, future)
        self.assertEqual(1, self.grouping.transact(self.context(), self.count("a")).result)

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
        self.store = HeldStore()
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
