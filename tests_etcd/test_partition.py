"""A member that lives, and answers, but is cut off from the others."""

import time
import unittest
from typing import cast

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.mirror import store as mirror
from tests.functional import deployment
from tests_etcd import network, stores

_MISSING = network.missing()


@unittest.skipIf(_MISSING is not None, f"NOT RUN: partitions, because {_MISSING}")
class TestPartition(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.cluster = network.Cluster(3)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def setUp(self) -> None:
        self.prefix = stores.new_prefix()
        self.store = stores.open_store(self, self.cluster.endpoints, self.prefix)
        self.store.commit([], [base.Put("a", b"old")])

    def cut_off_the_leader(self) -> network.Member:
        leader = cast(network.Member, self.cluster.leader())
        self.cluster.cut_off(leader)
        self.addCleanup(self.cluster.wait_ready)
        self.addCleanup(self.cluster.heal, leader)
        return leader

    def write(self, value: bytes, *, besides: network.Member) -> None:
        """Through the others, once they have a leader of their own."""
        others = [member.client_url for member in self.cluster.members if member is not besides]
        store = stores.open_store(self, others, self.prefix)

        def written() -> bool:
            try:
                store.commit([], [base.Put("a", value)])
            except errors.StoreUnavailable:
                return False
            return True

        deployment.wait_for("the others have a leader", written)

    def test_a_leader_that_was_cut_off_shows_nothing_old(self) -> None:
        leader = self.cut_off_the_leader()
        alone = stores.open_store(self, [leader.client_url], self.prefix)
        self.write(b"new", besides=leader)
        for call in (
            lambda until: alone.get(["a"], deadline=until),
            lambda until: alone.scan("", deadline=until),
            lambda until: alone.revision(deadline=until),
            lambda until: alone.commit([], [base.Put("a", b"lost")], deadline=until),
        ):
            begun = time.monotonic()
            with self.assertRaises(errors.StoreUnavailable):
                call(begun + 1)
            self.assertLess(time.monotonic() - begun, 2)
        self.assertEqual(b"new", self.store.get(["a"]).records["a"].value)

    def test_who_was_served_by_it_goes_on_elsewhere(self) -> None:
        leader = self.cluster.leader()
        self.store.client.here._preferred = self.cluster.members.index(cast(network.Member, leader))
        watch = self.store.watch("", after=self.store.revision())
        self.addCleanup(watch.close)
        self.store.commit([], [base.Put("a", b"1")])
        self.assertIsNotNone(watch.poll(10))
        self.write(b"new", besides=self.cut_off_the_leader())
        begun = time.monotonic()
        self.assertEqual(b"new", self.store.get(["a"]).records["a"].value)
        self.assertLess(time.monotonic() - begun, 3)
        seen: list[bytes | None] = []
        while b"new" not in seen and time.monotonic() < begun + 10:
            batch = watch.poll(1)
            seen += [change.value for change in batch.changes] if batch else []
        self.assertEqual([b"new"], seen)

    def test_a_mirror_of_it_shows_nothing_old(self) -> None:
        leader = self.cluster.leader()
        copy = mirror.Mirror(stores.open_store(self, [leader.client_url], self.prefix), left_out=())
        self.addCleanup(copy.close)
        self.assertEqual(b"old", copy.get(["a"]).records["a"].value)
        self.write(b"new", besides=self.cut_off_the_leader())
        with self.assertRaises(errors.StoreUnavailable):
            copy.get(["a"], deadline=time.monotonic() + 1)
        with copy.reading(max_stale=60) as moment:
            self.assertEqual(b"old", copy.get(["a"], deadline=time.monotonic() + 1).records["a"].value)
        self.assertGreater(cast(float, moment.age), 0)
