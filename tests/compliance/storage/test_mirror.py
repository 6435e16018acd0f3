"""The contract suite on mirrors: nobody can tell whether one is there."""

import unittest

from apisvc.storage import base, memory
from apisvc.storage.mirror import store as mirror
from apisvc.testing import storage
from tests.compliance.storage import sqlite_files, test_memory


class TestMirrorOfMemory(storage.StorageSuite, unittest.TestCase):
    cannot = test_memory.TestMemoryStore.cannot

    def make_store(self) -> base.Store:
        return mirror.Mirror(memory.MemoryStore(), left_out=())


class TestMirrorOfSqlite(storage.StorageSuite, unittest.TestCase):
    histories = 50

    def make_store(self) -> base.Store:
        self.path = sqlite_files.new_path(self)
        return self.another_handle()

    def another_handle(self) -> base.Store:
        return mirror.Mirror(sqlite_files.open_store(self.path, synchronous="normal"), left_out=())
