"""An older dump is restored while the processes of local instances go on running."""

import os
import pathlib
import time
import uuid

import testtools

from apisvc.commands import assemble
from apisvc.conf import files
from tests.functional import deployment


class TestRestore(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.mark = uuid.uuid4().hex
        self.here = self.useFixture(
            deployment.Deployment({"first": {"driver": "local", "state_file": None, "stop_grace": 1}})
        )
        self.addCleanup(self.take_away)
        self.here.start_api()
        self.here.start_worker()
        self.here.catalogue()

    def take_away(self) -> None:
        """Also the orphans, which apisvc keeps."""
        self.here.stop()
        assembly = assemble.assemble(files.read(["--config-file", str(self.here.config)]))
        driver = assembly.backends["first"].driver
        until = time.monotonic() + 180
        for each in driver.observe(deadline=until):
            deployment.wait_for(
                "it is deleted",
                lambda tag=each.tag: driver.delete(tag.instance_id, tag.tenant_id, deadline=until),
            )
        assembly.close()
        self.assertEqual({}, self.processes())

    def processes(self) -> dict[str, list[int]]:
        """The instances' own processes by the name that each was given."""
        found: dict[str, list[int]] = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            values = dict(item.split(b"=", 1) for item in environment if b"=" in item)
            if values.get(b"RESTORE_TEST") == self.mark.encode() and int(process.name) != os.getpid():
                found.setdefault(values[b"RESTORE_NAME"].decode(), []).append(int(process.name))
        return found

    def create(self, name: str) -> str:
        made = self.here.made(
            "/v1/tenants/acme/instances",
            {
                "name": name,
                "image": "host",
                "flavor": "tiny",
                "command": ["sleep", "600"],
                "env": {"RESTORE_TEST": self.mark, "RESTORE_NAME": name},
            },
        )
        deployment.wait_for(f"{name} is active", lambda: self.states().get(name) == "active")
        return str(made["id"])

    def states(self) -> dict[str, str]:
        return {each["name"]: each["status"]["state"] for each in self.here.instances()}

    def test_what_runs_is_adopted_made_again_or_kept_and_reported(self) -> None:
        self.create("kept")
        self.create("doomed")
        before = self.processes()
        dump = self.here.folder / "dump"
        self.here.command("manage", "store", "dump", str(dump))
        self.here.call("DELETE", "/v1/tenants/acme/instances/doomed")
        deployment.wait_for("doomed is gone", lambda: "doomed" not in self.states())
        orphan = self.create("late")
        late = self.processes()["late"]

        self.here.stop()
        for file in (self.here.folder / "state").glob("apisvc.sqlite*"):
            if file.is_file():
                file.unlink()
        self.here.command("manage", "store", "restore", str(dump))
        self.here.start_api()
        self.here.start_worker()

        # One is adopted as it runs; one is made again, as this store knows nothing of its end.
        both = {"kept": "active", "doomed": "active"}
        deployment.wait_for("both are active", lambda: self.states() == both and "doomed" in self.processes())
        # The third is not in this store: kept, and told.
        deployment.wait_for("the orphan is reported", lambda: orphan in self.orphans())
        now = self.processes()
        self.assertEqual(before["kept"], now["kept"])
        self.assertEqual(late, now["late"])
        self.assertEqual(1, len(now["doomed"]))
        # Its name is free, and another of that name does not touch it.
        self.create("late")
        self.assertEqual(2, len(self.processes()["late"]))
        self.assertIn(late[0], self.processes()["late"])
        self.assertEqual(3, self.here.call("GET", "/v1/tenants/acme/usage").json()["used"]["instances"])
        self.assertIn(", 0 wrong.", self.here.command("manage", "store", "check"))

    def orphans(self) -> list[str]:
        events = self.here.pages("/v1/admin/events", "events")
        return [each["target"]["id"] for each in events if each["action"] == "orphan.found"]
