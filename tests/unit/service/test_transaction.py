import time

import testtools
from cryptography import fernet

from apisvc import errors
from apisvc.model import events, replays
from apisvc.service import context, secrets, transaction
from apisvc.storage import memory

KEY = "replays/abc"


class TransactTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = memory.MemoryStore()
        self.transactor = transaction.Transactor(
            self.store, secrets.SecretBox([fernet.Fernet.generate_key()]), context.Clock(), context.Ids()
        )

    def context(self, **kw):
        actor = events.Actor(kind="user", id="u")
        return context.Context(actor=actor, deadline=time.monotonic() + 5, **kw)

    def replayable(self):
        return context.Replayable(
            key=KEY, fingerprint="f", render=lambda result: (201, "/x", result.encode())
        )

    @staticmethod
    def take_name(txn):
        if txn.read("names/a", str) is not None:
            raise errors.AlreadyExists("a")
        txn.put("names/a", "1")
        txn.event("name.create", events.Target(kind="name", id="a"))
        return "taken"

    def test_what_was_read_is_guarded(self):
        rounds = []

        def work(txn):
            found = txn.read("counter", int)
            rounds.append(found)
            if len(rounds) == 1:
                self.transactor.transact(self.context(), lambda other: other.put("counter", 41))
            txn.put("counter", (found.value if found else 0) + 1)

        self.transactor.transact(self.context(), work)
        self.assertEqual(2, len(rounds))
        self.assertEqual(b"42", self.store.get(["counter"]).records["counter"].value)

    def test_contention_ends_at_the_deadline(self):
        def work(txn):
            txn.read("counter", int)
            self.transactor.transact(self.context(), lambda other: other.put("counter", 1))
            txn.put("counter", 2)

        ctx = context.Context(actor=events.Actor(kind="user", id="u"), deadline=time.monotonic())
        self.assertRaises(errors.Contention, self.transactor.transact, ctx, work)

    def test_the_replay_is_written_with_the_rest_and_encrypted(self):
        done = self.transactor.transact(self.context(replayable=self.replayable()), self.take_name)
        record = self.store.get([KEY]).records[KEY]
        self.assertEqual(done.revision, record.revision)
        self.assertNotIn(b"taken", record.value)

    def test_a_repeat_is_replayed_though_its_twin_stands_in_the_way(self):
        first = self.context(replayable=self.replayable())
        self.transactor.transact(first, self.take_name)
        again = self.assertRaises(transaction.Replayed, self.transactor.transact, first, self.take_name)
        self.assertIsInstance(again.record.value, replays.Replay)
        self.assertEqual(b"taken", self.transactor.secrets.decrypt(again.record.value.answer))

    def test_a_failure_leaves_no_replay(self):
        self.transactor.transact(self.context(), self.take_name)
        ctx = self.context(replayable=self.replayable())
        self.assertRaises(errors.AlreadyExists, self.transactor.transact, ctx, self.take_name)
        self.assertEqual({}, dict(self.store.get([KEY]).records))

    def test_if_match(self):
        revision = self.transactor.transact(self.context(), lambda txn: txn.put("thing", "x")).revision

        def work(txn):
            txn.match(txn.read("thing", str))
            txn.put("thing", "y")

        stale = self.context(if_match=revision + 7)
        self.assertRaises(errors.PreconditionFailed, self.transactor.transact, stale, work)
        self.transactor.transact(self.context(if_match=revision), work)
        self.assertEqual(b'"y"', self.store.get(["thing"]).records["thing"].value)
