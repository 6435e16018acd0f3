import unittest

from apisvc.storage.sqlite import store
from apisvc.testing import storage
from tests.compliance.storage import sqlite_files


class TestSqliteStore(storage.StorageSuite, unittest.TestCase):
    def make_store(self) -> store.SqliteStore:
        self.path = sqlite_files.new_path(self)
        return self.another_handle()

    def another_handle(self) -> store.SqliteStore:
        return sqlite_files.open_store(self.path, synchronous="normal")
