"""Others are quicker, or the store is lost sight of: each is decided anew, or finds what became of its own."""

from apisvc import errors
from apisvc.service import context, transaction
from tests.unit.service import grouping_case


def lost():
    raise errors.StoreUnavailable("lost sight of it")


class ConflictsTest(grouping_case.GroupingCase):
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
