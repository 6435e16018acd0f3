"""The driver keeps the contract on a real cloud: the same scenarios as every other driver."""

import unittest

from apisvc.testing import compute
from tests_openstack import driver_case


class TestContract(compute.ComputeSuite, unittest.TestCase):
    capabilities = ("adopt", "console", "cordon", "credentials", "logs", "nodes", "power", "resize")
    patience = driver_case.PATIENCE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloud = driver_case.client()
        cls.addClassCleanup(cls.cloud.close)
        driver_case.seed(cls.cloud)

    def make_driver(self, owner):
        return driver_case.make(owner)

    def running(self):
        return {"image": driver_case.IMAGE, "ram_mb": 64}

    def exiting(self, code):
        return None  # a machine runs until it is stopped

    def invalid(self):
        return {"user_data": "#" * 60000}

    def count(self, instance_id):
        return len(driver_case.alive(self.cloud, instance_id))
