"""The compute contract on a real cluster: the shipped suite, unchanged, as an API process and as a worker uses it."""

import tempfile
import threading
import unittest
from collections.abc import Mapping
from typing import Any

from apisvc.compute import base
from apisvc.compute.kubernetes import driver
from apisvc.testing import backends, compute, compute_access
from tests_kubernetes import clusters, rights

_SHELL = ["/bin/sh", "-c"]


class TestAsking(compute.ComputeSuite, unittest.TestCase):
    """Without a watch: every look is one at the API server. With the rights of the manifest, and no more."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.rights = rights.Rights()
        cls.rights.setUp()
        cls.addClassCleanup(cls.rights.cleanUp)

    capabilities = ("adopt", "cordon", "credentials", "exec", "logs", "nodes", "power", "watch")
    patience = clusters.PATIENCE

    def setUp(self) -> None:
        if hasattr(compute_access.CordonScenarios, self._testMethodName):
            self.rights = self._cluster_of_its_own()
        super().setUp()

    def _cluster_of_its_own(self) -> rights.Rights:
        """The rights on one whose nodes no other test needs, which runs beside this one, and nobody else."""
        own = clusters.Lab(real=True)
        self.addCleanup(own.cleanUp)
        own.setUp()
        given = rights.Rights(own.kubeconfig)
        self.addCleanup(given.cleanUp)
        given.setUp()
        return given

    def make_driver(self, owner: str) -> base.ComputeDriver:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return driver.KubernetesDriver(
            backends.context(
                driver.KubernetesDriver,
                owner=owner,
                state_dir=folder.name,
                kubeconfig=self.rights.kubeconfig,
                run_as_user=1000,
                stop_grace=1,
            )
        )

    def running(self) -> Mapping[str, Any]:
        return {
            "image": clusters.IMAGE,
            "command": _SHELL,
            "args": ["echo one; echo two; echo three; exec sleep 600"],
            "vcpus": 0,
            "ram_mb": 16,
            "disk_gb": 0,
        }

    def exiting(self, code: int) -> Mapping[str, Any]:
        return {**self.running(), "args": [f"exit {code}"]}

    def invalid(self) -> Mapping[str, Any]:
        return {"env": {"NOT=A=NAME": "value"}}

    def make_stray(self) -> str:
        other = clusters.Namespace(clusters.api())
        other.setUp()
        self.addCleanup(other.cleanUp)
        amounts = {"cpu": "10m", "memory": "16Mi"}
        other.run("somebodys", "sleep", "600", resources={"requests": amounts, "limits": amounts})
        return str(other.running("somebodys").metadata.uid)

    def test_logs_of_the_run_before(self) -> None:
        workload = self.workload(args=["echo one; exit 7"], restart_policy="always")
        self.ensure(workload)
        previous = base.LogRequest(previous=True)

        def told() -> bytes:
            # While it crashes again and again, the run before may just be cleared away.
            try:
                chunks = self.driver.logs(workload.id, self.tenant.id, previous, deadline=self.soon())
                return b"".join(chunks)
            except base.NotFound:
                return b""

        self.assertEqual(b"one\n", self.until(told, "the output of the run before"))


class TestWatching(TestAsking):
    """Each driver watches, as a worker's does: looks are answered from what the watch tells."""

    def make_driver(self, owner: str) -> base.ComputeDriver:
        made = super().make_driver(owner)
        assert isinstance(made, driver.KubernetesDriver)
        began, stop = threading.Event(), threading.Event()

        def follow() -> None:
            for _ in made.watch(stop=stop):
                began.set()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        self.addCleanup(thread.join, self.patience)
        self.addCleanup(stop.set)
        self.assertTrue(began.wait(self.patience), "the watch began")
        return made
