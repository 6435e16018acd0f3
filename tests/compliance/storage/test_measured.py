"""The contract suite on stores that are measured: nobody can tell."""

import unittest

from apisvc.storage import base, measured, memory
from apisvc.testing import storage
from tests.compliance.storage import sqlite_files, test_memory


class TestMeasuredMemory(storage.StorageSuite, unittest.TestCase):
    cannot = test_memory.TestMemoryStore.cannot

    def make_store(self) -> base.Store:
        return measured.Measured(memory.MemoryStore())


class TestMeasuredSqlite(storage.StorageSuite, unittest.TestCase):
    histories = 50

    def make_store(self) -> base.Store:
        self.path = sqlite_files.new_path(self)
        return self.another_handle()

    def another_handle(self) -> base.Store:
        return measured.Measured(sqlite_files.open_store(self.path, synchronous="normal"))
