"""The disk of the store fills up under a running deployment: refused clearly, nothing lost, and on by itself."""

import contextlib
import os
import pathlib
import subprocess
import tempfile

import fixtures
import requests
import testtools

from tests.functional import deployment


class SmallDisk(fixtures.Fixture):
    """A file system of its own, of ``size`` bytes, that can be filled and emptied."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def _setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(self.folder.rmdir)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", self.folder], check=True)
        # Lazily: what was killed may take a moment to let go of its files.
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.folder], check=True)
        self._ballast = self.folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        self._ballast.unlink()


class TestFullDisk(testtools.TestCase):
    @testtools.skipUnless(
        os.geteuid() == 0, "to mount a small disk needs root; test_sqlite_faults does without"
    )
    def test_all_that_was_accepted_is_there_and_runs(self) -> None:
        disk = self.useFixture(SmallDisk(4 * 1024 * 1024))
        running = self.useFixture(deployment.Deployment({"sqlite": {"path": disk.folder / "apisvc.sqlite"}}))
        running.start_api()
        running.catalogue(quota={"instances": 1000, "vcpus": 1000, "ram_mb": 100000, "disk_gb": 1000})
        running.start_worker()
        accepted = {self.create(running).json()["id"] for _ in range(3)}

        disk.fill()
        for _ in range(500):
            answer = self.create(running)
            if answer.status_code != 202:
                break
            accepted.add(answer.json()["id"])
        self.refused(answer)
        # A small write still fits where a larger one did not, until it is really full.
        deployment.wait_for("readiness shows it", lambda: running.call("GET", "/readyz").status_code == 503)
        self.refused(running.call("GET", "/readyz"))
        # What needs no room goes on.
        self.assertEqual(accepted, {each["id"] for each in running.instances()})
        # Long enough for the worker to lose its lease.
        deployment.wait_for(
            "the lease is lost", lambda: "No term as a worker: The disk" in running.log("worker.log")
        )

        disk.empty()
        last = deployment.wait_for("a create is accepted again", lambda: self.accepted(running))
        accepted.add(last)
        deployment.wait_for("all of them run", lambda: self.active(running) == accepted, 180)
        self.assertEqual("ok", running.call("GET", "/readyz").json()["status"])
        self.assertIn(", 0 wrong.", running.command("manage", "store", "check"))

    def create(self, running: deployment.Deployment) -> requests.Response:
        return running.call("POST", "/v1/tenants/acme/instances", {"image": "host", "flavor": "tiny"})

    def accepted(self, running: deployment.Deployment) -> str | None:
        answer = self.create(running)
        return str(answer.json()["id"]) if answer.status_code == 202 else None

    def active(self, running: deployment.Deployment) -> set[str]:
        return {each["id"] for each in running.instances() if each["status"]["state"] == "active"}

    def refused(self, answer: requests.Response) -> None:
        self.assertEqual(503, answer.status_code, answer.text)
        self.assertEqual("application/problem+json", answer.headers["Content-Type"])
        self.assertEqual("apisvc.store.unavailable", answer.json()["code"])
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
