"""A mirror on a store that can be taken out of reach."""

import time

import testtools

from apisvc.storage import base
from apisvc.storage.mirror import store as mirror
from tests.unit.storage import breakable


def soon(seconds=30.0):
    return time.monotonic() + seconds


class MirrorCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = breakable.BreakableStore()
        self.mirror = mirror.Mirror(self.store, left_out=("events/",), timeout=30.0)
        self.addCleanup(self.mirror.close)

    def put(self, key, value=b"1"):
        return self.store.commit([], [base.Put(key, value)])

    def read(self, key, seconds=30.0):
        record = self.mirror.get([key], deadline=soon(seconds)).records.get(key)
        return record.value if record else None
