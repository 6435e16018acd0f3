"""A grouping on a store whose commits can be held, and transactions for it."""

import concurrent.futures
import threading
import time

import testtools
from cryptography import fernet

from apisvc import errors
from apisvc.model import events
from apisvc.service import context, grouping, secrets, transaction
from apisvc.storage import memory
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


class GroupingCase(testtools.TestCase):
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
