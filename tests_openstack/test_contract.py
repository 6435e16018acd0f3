"""The driver keeps the contract on a real cloud: the same scenarios as every other driver."""

import unittest
import uuid

from apisvc.testing import compute, compute_access
from tests_openstack import cloud, driver_case


class TestContract(compute.ComputeSuite, unittest.TestCase):
    capabilities = ("adopt", "console", "cordon", "credentials", "logs", "nodes", "power", "resize")
    patience = driver_case.PATIENCE
    #: What the fake hypervisor's console says, always.
    prints = ("FAKE CONSOLE OUTPUT", "ANOTHER", "LAST LINE")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ground = driver_case.Ground()
        cls.ground.setUp()
        cls.addClassCleanup(cls.ground.cleanUp)

    def setUp(self):
        if hasattr(compute_access.CordonScenarios, self._testMethodName):
            cloud.lab()
        super().setUp()

    def make_driver(self, owner):
        return self.ground.driver(owner)

    def running(self):
        return {"image": self.ground.images[0], "ram_mb": 64}

    def exiting(self, code):
        return None  # a machine runs until it is stopped

    def invalid(self):
        return {"user_data": "#" * 60000}

    def make_stray(self):
        """A server of the administrator's own, which goes with the test if it is not adopted."""
        nova = self.ground.admin.compute
        made = nova.create_server(
            name=self.ground.name,
            image_id=self.ground.images[0],
            flavor_id=self.ground.flavor(f"-{uuid.uuid4().hex[:4]}").id,
            networks="none",
        )
        self.addCleanup(self._remove, made.id)
        self.ground.settled(made)
        return made.id

    def _remove(self, server_id):
        nova = self.ground.admin.compute
        nova.delete_server(server_id)
        self.until(lambda: server_id not in {one.id for one in nova.servers()}, "the stray is gone")

    def count(self, instance_id):
        """Those that run. One whose build was called off is shown for a while, or ends in error and goes with the
        next look; one that was not would come to run."""

        def settled():
            alive = self.ground.alive(instance_id)
            if any(one.status in ("BUILD", "ERROR") for one in alive):
                self.look(instance_id)
                return None
            return [alive]

        return len(self.until(settled, "each of its servers runs or is gone")[0])
