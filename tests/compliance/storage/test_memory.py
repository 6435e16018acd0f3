import unittest

from apisvc.storage import memory
from apisvc.testing import storage


class TestMemoryStore(storage.StorageSuite, unittest.TestCase):
    cannot = storage.limitations(memory.MemoryStore)

    def make_store(self) -> memory.MemoryStore:
        return memory.MemoryStore()
