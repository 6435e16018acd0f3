"""The worker's clearing up on a real etcd: old events, replays, tombstones and tokens, and history by compaction."""

from apisvc.storage import base
from tests.unit.worker import test_collector
from tests_etcd import cluster, stores


class TestCollectingOnEtcd(test_collector.Collecting):
    cluster: cluster.Cluster

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cluster = cluster.Cluster()
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def make_store(self) -> base.Store | None:
        return stores.open_store(self, self.cluster.endpoints)
