"""Concurrent guarded commits and reads while members are killed and frozen: linearizable, with and without a mirror.

``APISVC_TEST_SEEDS=1-500`` tries other and more seeds, ``APISVC_TEST_SECONDS=30`` makes each history longer.
"""

import math
import os
import random
import threading
import time
import unittest
from collections.abc import Sequence
from typing import Any

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import driver
from apisvc.storage.mirror import store as mirror
from tests.fault import linearizability as lin
from tests.functional import deployment
from tests_etcd import cluster, faults, stores

KEYS = ("a", "b", "c")
CLIENTS = 5
#: Operations of a history that is worth being judged.
ENOUGH = 30


def seeds() -> range:
    first, _, last = os.environ.get("APISVC_TEST_SEEDS", "1-20").partition("-")
    return range(int(first), int(last or first) + 1)


class Careless(driver.EtcdStore):
    """Answers every second read with what it showed before, as a cache does that asks nobody."""

    def __init__(self, conf: Any) -> None:
        super().__init__(conf)
        self._shown: dict[tuple[str, ...], base.Snapshot] = {}

    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        shown = self._shown.pop(tuple(keys), None)
        if shown is None:
            shown = self._shown[tuple(keys)] = super().get(keys, deadline=deadline)
        return shown


class Client:
    """Does random things to a store and writes down what came of it."""

    def __init__(self, number: int, store: base.Store, rng: random.Random) -> None:
        self._number = number
        self._store = store
        self._rng = rng
        self._written = 0
        #: What it last read: number of a key -> (value, revision).
        self._known: dict[int, tuple[bytes | None, int]] = {}
        self.history: list[lin.Operation] = []

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._rng.random() < 0.5 or not self._known:
                self._read()
            else:
                self._commit()
            stop.wait(self._rng.random() * 0.02)

    def _read(self) -> None:
        wanted = tuple(sorted(self._rng.sample(range(len(KEYS)), self._rng.randint(1, len(KEYS)))))
        begin = time.monotonic()
        try:
            if self._rng.random() < 0.3:
                found = {record.key: record for record in self._store.scan("").records}
            else:
                found = dict(self._store.get([KEYS[key] for key in wanted]).records)
        except errors.StoreUnavailable:
            return  # what was not answered cannot be wrong
        end = time.monotonic()
        for key in wanted:
            record = found.get(KEYS[key])
            self._known[key] = (record.value, record.revision) if record else (None, 0)
        values = tuple(self._known[key][0] for key in wanted)
        self.history.append(lin.Operation(self._number, begin, end, lin.Read(wanted), values))

    def _commit(self) -> None:
        guarded = self._rng.sample(sorted(self._known), self._rng.randint(1, len(self._known)))
        targets = self._rng.sample(range(len(KEYS)), self._rng.randint(1, 2))
        guards: list[base.Guard] = []
        for key in guarded:
            value, revision = self._known[key]
            guards.append(base.Absent(KEYS[key]) if value is None else base.AtRevision(KEYS[key], revision))
        writes: list[base.Write] = []
        written: list[tuple[int, bytes | None]] = []
        for key in targets:
            self._written += 1
            gone = self._rng.random() < 0.1
            value = None if gone else f"{self._number}.{self._written}".encode()
            written.append((key, value))
            writes.append(base.Delete(KEYS[key]) if value is None else base.Put(KEYS[key], value))
        expected = tuple((key, self._known[key][0]) for key in guarded)
        call = lin.Commit(expected, tuple(written))
        begin, end, done = time.monotonic(), math.inf, None
        try:
            self._store.commit(guards, writes)
            done, end = True, time.monotonic()
        except base.Conflict:
            done, end = False, time.monotonic()
        except errors.StoreUnavailable:
            pass  # in doubt: it has no end
        self._known.clear()
        self.history.append(lin.Operation(self._number, begin, end, call, done))


class TestLinearizability(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cluster.require_killable()
        cls.cluster = cluster.Cluster(3)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def test_histories_under_kill_freeze_and_leader_change(self) -> None:
        seconds = float(os.environ.get("APISVC_TEST_SECONDS", "2"))
        lengths, lost, deeds = 0, 0, 0
        for seed in seeds():
            history, nemesis = self.provoke(seed, seconds)
            lengths, deeds = lengths + len(history), deeds + len(nemesis.deeds)
            lost += sum(operation.lost for operation in history)
            if lin.explain(lin.Store(len(KEYS)), history) is None:
                lines = [str(operation) for operation in sorted(history, key=lambda each: each.begin)]
                self.fail("\n".join([f"seed {seed} is not linearizable; {nemesis.deeds}", *lines]))
        print(f"{len(seeds())} histories, {lengths} operations, {lost} in doubt, {deeds} faults")
        self.assertGreater(deeds, 0)

    def test_reads_that_ask_nobody_would_be_caught(self) -> None:
        """The judge and the clients are good for something."""
        for seed in range(1, 4):
            history, _ = self.provoke(seed, 3.0, Careless)
            if lin.explain(lin.Store(len(KEYS)), history) is None:
                return
        self.fail("stale reads were never seen")

    def provoke(
        self, seed: int, seconds: float, kind: type[driver.EtcdStore] = driver.EtcdStore
    ) -> tuple[list[lin.Operation], faults.Nemesis]:
        """A history, half of whose clients read from mirrors."""
        rng = random.Random(seed)
        self.cluster.mend()
        prefix = stores.new_prefix()
        clients = []
        for number in range(CLIENTS):
            store: base.Store = stores.open_store(
                self, self.cluster.endpoints, prefix, kind, attempt_timeout=0.5, timeout=3.0
            )
            if number % 2:
                store = mirror.Mirror(store, left_out=(), timeout=3.0)
                self.addCleanup(store.close)
            clients.append(Client(number, store, random.Random(rng.random())))
        nemesis = faults.Nemesis(self.cluster, random.Random(rng.random()))
        stop = threading.Event()
        runs = [client.run for client in clients] + [nemesis.run]
        threads = [threading.Thread(target=run, args=(stop,), daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        deployment.wait_for(
            f"seed {seed}: enough is answered",
            lambda: sum(len(client.history) for client in clients) > ENOUGH,
        )
        stop.set()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive(), f"seed {seed}: a call hangs")
        for client in clients:
            client._store.close()
        return [operation for client in clients for operation in client.history], nemesis
