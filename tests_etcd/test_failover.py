"""Members die, freeze, and come back: what a driver's user sees of it."""

import threading
import time
import unittest

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import driver
from tests.functional import deployment, wire
from tests_etcd import cluster, stores


class ClusterCase(unittest.TestCase):
    """Three members, whole again before each test."""

    @classmethod
    def setUpClass(cls) -> None:
        cluster.require_killable()
        cls.cluster = cluster.Cluster(3)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def setUp(self) -> None:
        self.cluster.mend()
        self.prefix = stores.new_prefix()
        self.store = self.open_store()

    def open_store(self, **overrides: object) -> driver.EtcdStore:
        return stores.open_store(self, self.cluster.endpoints, self.prefix, **overrides)

    def put(self, key: str, value: bytes = b"", store: base.Store | None = None) -> int:
        """Put it for certain, however often that needs to be tried."""
        found: list[int] = []

        def done() -> bool:
            try:
                found.append((store or self.store).commit([], [base.Put(key, value)]))
            except errors.StoreUnavailable:
                return False
            return True

        deployment.wait_for(f"{key} is written", done, 30)
        return found[0]

    def prefer(self, store: driver.EtcdStore, member: cluster.Member) -> None:
        """Let the next call go to ``member``."""
        store.client.here._preferred = self.cluster.members.index(member)


class TestFailover(ClusterCase):
    def test_a_killed_follower_is_hardly_noticed(self) -> None:
        follower = self.cluster.follower()
        self.put("a")
        self.prefer(self.store, follower)
        self.store.get(["a"])
        follower.kill()
        begun = time.monotonic()
        self.assertIn("a", self.store.get(["a"]).records)
        self.store.commit([], [base.Put("b", b"")])
        self.assertLess(time.monotonic() - begun, 3)

    def test_a_killed_leader_is_replaced(self) -> None:
        self.put("a")
        self.cluster.leader().kill()
        begun = time.monotonic()
        self.put("b")
        self.assertIn("a", self.store.get(["a"]).records)
        self.assertLess(time.monotonic() - begun, 10)

    def test_no_call_waits_for_a_frozen_member_beyond_its_deadline(self) -> None:
        self.put("a")
        for member in (self.cluster.follower(), self.cluster.leader()):
            with self.subTest(leads=member is self.cluster.leader()):
                lease = self.store.lease(60)
                member.freeze()
                for call in (
                    lambda until: self.store.get(["a"], deadline=until),
                    lambda until: self.store.scan("", deadline=until),
                    lambda until: self.store.revision(deadline=until),
                    lambda until: self.store.commit([], [base.Put("a", b"")], deadline=until),
                    lambda until: self.store.ping(deadline=until),
                    lambda until: self.store.lease(60, deadline=until),
                    lambda until: lease.keep_alive(deadline=until),  # noqa: B023
                ):
                    self.prefer(self.store, member)
                    begun = time.monotonic()
                    try:
                        call(begun + 0.5)
                    except errors.StoreUnavailable as error:
                        self.assertTrue(error.detail)
                    self.assertLess(time.monotonic() - begun, 1.0)
                self.cluster.mend()

    def test_others_serve_within_three_seconds_when_a_member_freezes(self) -> None:
        self.put("a")
        member = self.cluster.follower()
        member.freeze()
        self.prefer(self.store, member)
        begun = time.monotonic()
        self.assertIn("a", self.store.get(["a"]).records)
        self.assertLess(time.monotonic() - begun, 3)
        begun = time.monotonic()
        self.store.commit([], [base.Put("b", b"")])
        self.assertLess(time.monotonic() - begun, 1)

    def test_a_lease_is_kept_alive_through_a_frozen_member(self) -> None:
        lease = self.store.lease(5)
        self.put("worker")
        member = self.cluster.follower()
        member.freeze()
        self.prefer(self.store, member)
        begun = time.monotonic()
        lease.keep_alive()
        self.assertLess(time.monotonic() - begun, 3)

    def test_without_a_majority_calls_fail_in_time_and_come_back(self) -> None:
        self.put("a")
        for member in self.cluster.members[:2]:
            member.kill()
        for call in (lambda: self.store.get(["a"], deadline=time.monotonic() + 2), self.store.ping):
            begun = time.monotonic()
            with self.assertRaises(errors.StoreUnavailable):
                call()
            self.assertLess(time.monotonic() - begun, 11)
        self.cluster.mend()
        self.put("b")
        self.assertEqual(2, len(self.store.scan("").records))


class TestWatches(ClusterCase):
    def resumed(self, watch: base.Watch, revisions: list[int], seconds: float = 10.0) -> None:
        """Every revision comes in time, in order, and once."""
        end = time.monotonic() + seconds
        seen: list[int] = []
        while len(seen) < len(revisions):
            batch = watch.poll(max(0.0, end - time.monotonic()))
            self.assertIsNotNone(batch, f"{len(seen)} of {len(revisions)} within {seconds} s")
            assert batch is not None
            seen += [change.revision for change in batch.changes]
        self.assertEqual(revisions, seen)

    def watched_on(self, member: cluster.Member) -> tuple[driver.EtcdStore, base.Watch]:
        """A store whose watch has its stream on ``member``."""
        store = self.open_store()
        self.prefer(store, member)
        watch = store.watch("", after=store.revision())
        self.addCleanup(watch.close)
        self.resumed(watch, [self.put("first")])
        feeds = store._feeds.get()
        assert feeds.shared is not None
        assert feeds.shared._endpoint is not None
        self.assertEqual(member.address, feeds.shared._endpoint.address)
        return store, watch

    def test_a_watch_on_a_killed_member_goes_on(self) -> None:
        for leads in (False, True):
            with self.subTest(leads=leads):
                self.cluster.mend()
                member = self.cluster.leader() if leads else self.cluster.follower()
                _, watch = self.watched_on(member)
                member.kill()
                self.resumed(watch, [self.put(f"k{turn}") for turn in range(20)])

    def test_a_watch_on_a_frozen_member_goes_on(self) -> None:
        member = self.cluster.follower()
        _, watch = self.watched_on(member)
        member.freeze()
        others = [m for m in self.cluster.members if m is not member]
        writer = stores.open_store(self, [m.client_url for m in others], self.prefix)
        self.resumed(watch, [self.put(f"k{turn}", store=writer) for turn in range(20)])

    def test_a_watch_whose_answers_are_lost_goes_on(self) -> None:
        """Nothing says that the connection is dead."""
        proxy = wire.Proxy(self.cluster.members[0].address)
        proxy.setUp()
        self.addCleanup(proxy.cleanUp)
        endpoints = [proxy.endpoint, *self.cluster.endpoints[1:]]
        store = stores.open_store(self, endpoints, self.prefix)
        store.client.here._preferred = 0
        watch = store.watch("", after=store.revision())
        self.addCleanup(watch.close)
        self.resumed(watch, [self.put("first")])
        proxy.mute = True
        self.resumed(watch, [self.put(f"k{turn}") for turn in range(20)])

    def test_a_reader_that_asks_for_the_revision_finds_a_dead_watch_sooner(self) -> None:
        """As the mirror does: not by the pings of the connection, but because the watch is late."""
        member = self.cluster.follower()
        store, watch = self.watched_on(member)
        member.freeze()
        begun = time.monotonic()
        revision = self.put("new")
        while time.monotonic() < begun + 10:
            store.revision()
            batch = watch.poll(0)
            if batch is not None and batch.revision >= revision:
                break
        self.assertLess(time.monotonic() - begun, 6)

    def test_a_watch_outlives_the_loss_of_the_majority(self) -> None:
        store = self.open_store(timeout=30.0)
        watch = store.watch("", after=store.revision())
        self.addCleanup(watch.close)
        for member in self.cluster.members[:2]:
            member.kill()
        self.assertIsNone(watch.poll(1))
        self.cluster.mend()
        self.resumed(watch, [self.put("a"), self.put("b")])

    def test_a_watch_ends_when_the_store_stays_away(self) -> None:
        store = self.open_store(timeout=1.0)
        watch = store.watch("", after=store.revision())
        self.addCleanup(watch.close)
        self.resumed(watch, [self.put("a")])
        for member in self.cluster.members:
            member.kill()
        begun = time.monotonic()
        with self.assertRaises(errors.StoreUnavailable):
            while time.monotonic() < begun + 10:
                watch.poll(1)
        with self.assertRaises(errors.StoreUnavailable):
            store.watch("", after=1)
        self.cluster.mend()
        revision = self.put("b")
        again = store.watch("", after=revision - 1)
        self.addCleanup(again.close)
        self.resumed(again, [revision])

    def test_nothing_is_missed_while_members_come_and_go(self) -> None:
        watch = self.store.watch("", after=self.store.revision())
        self.addCleanup(watch.close)
        written: list[int] = []
        done = threading.Event()

        def write() -> None:
            turn = 0
            while not done.is_set():
                turn += 1
                written.append(self.put("counter", str(turn).encode()))

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for member in self.cluster.members:
            reached = len(written)
            member.kill()
            deployment.wait_for("writes go on", lambda n=reached: len(written) > n + 50, 30)
            self.cluster.mend()
        done.set()
        writer.join(30)
        seen: list[int] = []
        end = time.monotonic() + 10
        while (not seen or seen[-1] < written[-1]) and time.monotonic() < end:
            batch = watch.poll(1)
            seen += [change.revision for change in batch.changes] if batch else []
        self.assertEqual(sorted(set(seen)), seen)
        # A write whose answer was lost may have been done, and then been done again.
        self.assertEqual(set(), set(written) - set(seen))


class TestLostAnswers(ClusterCase):
    def test_a_write_whose_answer_is_lost_is_in_doubt_and_done_once(self) -> None:
        proxy = wire.Proxy(self.cluster.members[0].address)
        proxy.setUp()
        self.addCleanup(proxy.cleanUp)
        store = stores.open_store(
            self, [proxy.endpoint, *self.cluster.endpoints[1:]], self.prefix, attempt_timeout=0.5
        )
        store.client.here._preferred = 0
        self.put("a", store=store)
        before = self.store.revision()
        proxy.mute = True
        with self.assertRaisesRegex(errors.StoreUnavailable, "may or may not have happened"):
            store.commit([base.Absent("b")], [base.Put("b", b"unique")])
        record = self.store.get(["b"]).records["b"]
        self.assertEqual((b"unique", before + 1), (record.value, record.revision))
        self.assertEqual(before + 1, self.store.revision())
        # The same store goes on at once, on another member.
        begun = time.monotonic()
        self.assertIn("b", store.get(["b"]).records)
        self.assertLess(time.monotonic() - begun, 0.4)

    def test_a_read_whose_answer_is_lost_is_asked_again(self) -> None:
        proxy = wire.Proxy(self.cluster.members[0].address)
        proxy.setUp()
        self.addCleanup(proxy.cleanUp)
        store = stores.open_store(
            self, [proxy.endpoint, *self.cluster.endpoints[1:]], self.prefix, attempt_timeout=0.5
        )
        store.client.here._preferred = 0
        self.put("a", store=store)
        proxy.mute = True
        self.assertIn("a", store.get(["a"]).records)
