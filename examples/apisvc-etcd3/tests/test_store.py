"""The driver against the suite that apisvc ships for all storage drivers. $ETCD_ENDPOINTS says where etcd is."""

import os
import unittest
import uuid

from apisvc_etcd3 import store

from apisvc.testing import storage


class TestEtcd3Store(storage.StorageSuite, unittest.TestCase):
    def make_store(self) -> store.Etcd3Store:
        self.prefix = f"/apisvc-etcd3-test/{uuid.uuid4()}"
        made = self.another_handle()
        self.addCleanup(made.close)
        self.addCleanup(storage.empty, made)
        return made

    def another_handle(self) -> store.Etcd3Store:
        endpoints = os.environ["ETCD_ENDPOINTS"].split(",")
        return store.Etcd3Store(
            storage.group(store.Etcd3Store, "etcd3", endpoints=endpoints, prefix=self.prefix)
        )
