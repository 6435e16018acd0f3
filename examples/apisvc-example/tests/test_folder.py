"""The driver against the suite that apisvc ships for all drivers."""

import pathlib
import tempfile
import unittest
from collections.abc import Mapping
from typing import Any

from apisvc_example import folder

from apisvc.compute import base
from apisvc.testing import backends, compute


class TestFolder(compute.ComputeSuite, unittest.TestCase):
    capabilities = ("nodes",)

    def setUp(self) -> None:
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.root / "templates" / "website").mkdir(parents=True)
        (self.root / "templates" / "website" / "index.html").write_text("<h1>Hello</h1>")
        super().setUp()

    def make_driver(self, owner: str) -> folder.FolderDriver:
        context = backends.context(
            folder.FolderDriver, owner=owner, state_dir=str(self.root), root=str(self.root)
        )
        return folder.FolderDriver(context)

    def running(self) -> Mapping[str, Any]:
        return {"image": "website", "disk_gb": 0}

    def exiting(self, code: int) -> None:
        return None

    def invalid(self) -> Mapping[str, Any]:
        return {"image": "../website"}

    def count(self, instance_id: str) -> int:
        return len(list(self.root.glob(f"*/*/{instance_id}")))

    # What is its own

    def test_a_folder_begins_as_its_template_and_keeps_what_the_tenant_changed(self) -> None:
        workload = self.run_one(spec_hash="one")
        page = next(self.root.glob(f"*/*/{workload.id}/data/index.html"))
        self.assertEqual("<h1>Hello</h1>", page.read_text())
        page.write_text("mine")
        self.ensure(self.workload(id=workload.id, spec_hash="two"))
        self.assertEqual("mine", page.read_text())

    def test_a_share_that_is_not_there_is_unavailable(self) -> None:
        driver = folder.FolderDriver(
            backends.context(folder.FolderDriver, state_dir="", root=str(self.root / "gone"))
        )
        with self.assertRaises(base.Unavailable):
            driver.check(deadline=self.soon())

    def test_what_does_not_fit_waits_for_room(self) -> None:
        with self.assertRaises(base.NoCapacity):
            self.ensure(self.workload(disk_gb=10**9))

    def test_a_folder_runs_nothing(self) -> None:
        with self.assertRaisesRegex(base.InvalidSpec, "runs nothing"):
            self.ensure(self.workload(command=("sh",)))
