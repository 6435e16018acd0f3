"""The fake driver keeps the contract: in memory, in a file, and when everything takes time."""

import os
import tempfile
import unittest
import uuid

from apisvc.compute import base, fake, fakecloud
from apisvc.testing import backends, compute


class TestInMemory(compute.ComputeSuite, unittest.TestCase):
    capabilities = tuple(base.CAPABILITIES)
    patience = 5.0
    options = {}

    def setUp(self):
        self.cloud = fakecloud.MemoryCloud()
        super().setUp()

    def make_driver(self, owner):
        context = backends.context(fake.FakeDriver, owner=owner, state_dir="", **self.options)
        return fake.FakeDriver(context, self.cloud)

    def make_stray(self):
        return self.driver.add_stray(f"stray-{uuid.uuid4()}").handle

    def running(self):
        return {"labels": {"fake.log": "one\ntwo\nthree"}}

    def exiting(self, code):
        return {"labels": {"fake.exit": str(code)}}

    def invalid(self):
        return {"labels": {"fake.delay": "soon"}}


class TestSlowly(TestInMemory):
    options = {"delay": 0.05}


class TestInAFile(TestInMemory):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "fake.sqlite")
        super().setUp()

    def make_driver(self, owner):
        context = backends.context(fake.FakeDriver, owner=owner, state_dir="", state_file=self.path)
        return fake.FakeDriver(context)
