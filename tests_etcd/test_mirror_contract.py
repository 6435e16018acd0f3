"""The contract suite on a mirror of etcd."""

from apisvc.storage import base
from apisvc.storage.mirror import store as mirror
from tests_etcd import stores, test_contract


class TestMirrorOfEtcd(test_contract.TestEtcdStore):
    histories = 50

    def another_handle(self) -> base.Store:
        return mirror.Mirror(stores.open_store(self, self.cluster.endpoints, self.prefix), left_out=())
