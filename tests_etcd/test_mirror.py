"""A mirror of a real etcd, which is lost, restarted, and compacted meanwhile."""

import time
import unittest

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.mirror import store as mirror
from tests.functional import deployment, wire
from tests_etcd import cluster, stores


class TestMirror(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.cluster = cluster.Cluster()
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def setUp(self) -> None:
        self.cluster.mend()
        self.prefix = stores.new_prefix()
        self.store = stores.open_store(self, self.cluster.endpoints, self.prefix)
        self.proxy = wire.Proxy(self.cluster.members[0].address)
        self.proxy.setUp()
        self.addCleanup(self.proxy.cleanUp)
        behind = stores.open_store(self, [self.proxy.endpoint], self.prefix, attempt_timeout=0.5, timeout=2.0)
        self.mirror = mirror.Mirror(behind, left_out=(), timeout=2.0)
        self.addCleanup(self.mirror.close)

    def put(self, key: str, value: bytes = b"1") -> int:
        return self.store.commit([], [base.Put(key, value)])

    def shown(self) -> dict[str, bytes]:
        return {record.key: record.value for record in self.mirror.scan("").records}

    def shows(self, expected: dict[str, bytes]) -> None:
        """Within ten seconds, and until then nothing but errors."""

        def found() -> list[dict[str, bytes]] | None:
            try:
                return [self.shown()]
            except errors.StoreUnavailable:
                return None

        self.assertEqual([expected], deployment.wait_for("the mirror answers", found, 10))

    def test_a_connection_that_falls_silent(self) -> None:
        self.put("a")
        self.shows({"a": b"1"})
        self.proxy.mute = True
        self.put("a", b"2")
        begun = time.monotonic()
        with self.assertRaises(errors.StoreUnavailable):
            self.mirror.scan("", deadline=begun + 1)
        self.assertLess(time.monotonic() - begun, 2)
        self.proxy.mute = False
        self.shows({"a": b"2"})

    def test_what_it_missed_was_compacted(self) -> None:
        self.put("a")
        self.put("gone")
        self.shows({"a": b"1", "gone": b"1"})
        self.proxy.mute = True
        self.proxy.cut()
        self.store.commit([], [base.Put("a", b"2"), base.Delete("gone")])
        self.put("b")
        self.store.compact(self.store.revision())
        self.proxy.mute = False
        self.proxy.cut()
        self.shows({"a": b"2", "b": b"1"})
        self.put("c")
        self.assertEqual({"a": b"2", "b": b"1", "c": b"1"}, self.shown())

    def test_what_expired_meanwhile(self) -> None:
        lease = self.store.lease(60)
        self.store.commit([], [base.Put("worker", b"1", lease.id)])
        self.shows({"worker": b"1"})
        lease.revoke()
        self.assertEqual({}, self.shown())

    def test_the_member_is_restarted(self) -> None:
        self.put("a")
        self.shows({"a": b"1"})
        for turn in range(3):
            self.cluster.members[0].kill()
            self.proxy.cut()
            self.cluster.mend()
            self.put("a", str(turn).encode())
            self.shows({"a": str(turn).encode()})

    def test_reads_follow_commits_at_once(self) -> None:
        self.shows({})
        for turn in range(200):
            self.put("a", str(turn).encode())
            self.assertEqual({"a": str(turn).encode()}, self.shown())
