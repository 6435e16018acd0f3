"""The contract suite on a real etcd, alone and in a cluster of three."""

import unittest

from apisvc.storage import base
from apisvc.testing import storage
from tests_etcd import cluster, stores


class TestEtcdStore(storage.StorageSuite, unittest.TestCase):
    """One member; each scenario has a prefix of its own in it."""

    size = 1
    cluster: cluster.Cluster

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cluster = cluster.Cluster(cls.size)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def make_store(self) -> base.Store:
        self.prefix = stores.new_prefix()
        self.addCleanup(stores.remove_everything, self.cluster.endpoints, self.prefix)
        return self.another_handle()

    def another_handle(self) -> base.Store:
        return stores.open_store(self, self.cluster.endpoints, self.prefix)


class TestEtcdClusterStore(TestEtcdStore):
    size = 3
