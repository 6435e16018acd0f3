"""The local driver keeps the contract, with real processes."""

import tempfile
import unittest

from apisvc.compute.local import driver, processes
from apisvc.testing import backends, compute


class TestLocal(compute.ComputeSuite, unittest.TestCase):
    capabilities = ("exec", "logs", "nodes", "power", "watch")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        super().setUp()

    def make_driver(self, owner):
        context = backends.context(driver.LocalDriver, owner=owner, state_dir=self.folder, stop_grace=5.0)
        return driver.LocalDriver(context)

    def running(self):
        return {
            "image": "host",
            "command": ["/bin/sh", "-c"],
            "args": ["echo one; echo two; echo three; exec sleep 600"],
        }

    def exiting(self, code):
        return {"command": ["/bin/sh", "-c", f"exit {code}"], "args": []}

    def invalid(self):
        return {"command": ["no-such-program-anywhere"]}

    def count(self, instance_id):
        """The processes themselves, wherever they come from."""
        return len(list(processes.marked(f"{self.folder}/{self.owner}/{instance_id}")))
