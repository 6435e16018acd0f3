"""Several backends under one service: real API and worker processes, one backend in trouble, the others not."""

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

import testtools

from tests.functional import deployment

INSTANCES = "/v1/tenants/acme/instances"


class BackendsCase(testtools.TestCase):
    """The backends ``first`` and ``second``, each with its state in a file."""

    options: dict[str, dict[str, Any]] = {}

    def setUp(self) -> None:
        super().setUp()
        self.here = deployment.Deployment()
        # Its folder is known once it is set up, which writes the configuration.
        self.here.options = {
            "DEFAULT": {"enabled_backends": "first, second"},
            "second": {"driver": "fake"},
            "live": {"timeout": 2},
            **self.options,
        }
        self.useFixture(self.here)
        self.files = {name: self.here.folder / f"{name}.sqlite" for name in ("first", "second")}
        self.configure()

    def configure(self, **default: Any) -> None:
        """Write the configuration; ``default``: of ``[DEFAULT]``."""
        options = {
            **self.here.options,
            "first": {"state_file": self.files["first"]},
            "second": {"driver": "fake", "state_file": self.files["second"]},
        }
        options["DEFAULT"] = {**options["DEFAULT"], **default}
        self.here.options = options
        self.here.write_config()

    def start(self) -> None:
        self.here.start_api()
        self.here.start_worker()
        self.here.catalogue()
        for name in ("first", "second"):
            deployment.wait_for(
                lambda: self.here.log("worker.log"), lambda name=name: self.health(name) is True
            )

    def get(self, path: str) -> Any:
        answer = self.here.call("GET", path)
        self.assertEqual(200, answer.status_code, answer.text)
        return answer.json()

    def health(self, name: str) -> bool | None:
        found = self.get(f"/v1/admin/backends/{name}")["health"]
        return found and found["healthy"]

    def create(self, name: str, **fields: Any) -> Any:
        return self.here.made(INSTANCES, {"name": name, "image": "host", "flavor": "tiny", **fields})

    def status(self, name: str) -> Any:
        return self.get(f"{INSTANCES}/{name}")["status"]

    def wait_active(self, name: str) -> None:
        deployment.wait_for(
            lambda: (self.status(name), self.here.log("worker.log")),
            lambda: self.status(name)["state"] == "active",
        )

    @contextlib.contextmanager
    def hanging(self, name: str) -> Iterator[None]:
        """Within, every call to the backend waits for a lock in vain, whatever its deadline."""
        with contextlib.closing(sqlite3.connect(self.files[name], isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                db.execute("ROLLBACK")


class HangingTest(BackendsCase):
    options = {"worker": {"driver_timeout": 1}}

    def test_it_keeps_what_it_has_and_slows_nothing_else(self) -> None:
        self.start()
        for name in ("first", "second"):
            self.create(f"on-{name}", backend=name)
            self.wait_active(f"on-{name}")
        seen = self.status("on-first")["observed_at"]
        with self.hanging("first"):
            deployment.wait_for(lambda: self.here.log("worker.log"), lambda: self.health("first") is False)
            # What is there stays as it was seen last.
            status = self.status("on-first")
            self.assertEqual(("active", True, None), (status["state"], status["stale"], status["fault"]))
            self.assertGreaterEqual(status["observed_at"], seen)
            self.assertFalse(self.status("on-second")["stale"])
            stale = self.get(f"{INSTANCES}?stale=true")["instances"]
            self.assertEqual(["on-first"], [one["name"] for one in stale])
            # It gets nothing new, and says why.
            refused = self.here.call(
                "POST", INSTANCES, {"image": "host", "flavor": "tiny", "backend": "first"}
            )
            self.assertEqual(
                (409, "apisvc.backend.none_suitable"), (refused.status_code, refused.json()["code"])
            )
            self.assertEqual("it cannot be reached", refused.json()["rejected"][0]["reason"])
            # All else goes on: what needs a worker, and what asks the backends directly.
            for number in range(8):
                made = self.create(f"new-{number}")
                self.assertEqual("second", made["spec"]["backend"])
            for number in range(8):
                self.wait_active(f"new-{number}")
            nodes = self.get("/v1/admin/nodes")
            self.assertEqual(["second"], [one["backend"] for one in nodes["nodes"]])
            self.assertEqual(["first"], [one["backend"] for one in nodes["unlisted"]])
            self.here.call("DELETE", f"{INSTANCES}/new-0")
            deployment.wait_for(
                lambda: self.here.log("worker.log"),
                lambda: self.here.call("GET", f"{INSTANCES}/new-0").status_code == 404,
            )
            self.assertTrue(self.status("on-first")["stale"])
        deployment.wait_for(lambda: self.status("on-first"), lambda: not self.status("on-first")["stale"])
        self.assertEqual("active", self.status("on-first")["state"])


class ChoiceTest(BackendsCase):
    def test_room_for_one_is_taken_once_and_cordoned_nodes_get_nothing(self) -> None:
        self.configure()
        self.here.options["first"]["capacity"] = 1
        self.here.options["second"]["capacity"] = 0
        self.here.write_config()
        self.start()

        def room(name: str) -> float:
            found = self.get(f"/v1/admin/backends/{name}")["capacity"]
            return -1.0 if found is None else sum(one["vcpus"] for one in found["rooms"])

        deployment.wait_for(lambda: self.here.log("worker.log"), lambda: room("first") == 1.0)
        plan = self.here.call("POST", f"{INSTANCES}?dry_run=true", {"image": "host", "flavor": "tiny"}).json()
        made = self.create("only")
        self.assertEqual(("first", "first"), (plan["backend"], made["spec"]["backend"]))
        self.wait_active("only")
        deployment.wait_for(lambda: self.here.log("worker.log"), lambda: room("first") == 0.0)
        refused = self.here.call("POST", INSTANCES, {"image": "host", "flavor": "tiny"})
        self.assertEqual(409, refused.status_code, refused.text)
        reasons = {one["backend"]: one["reason"] for one in refused.json()["rejected"]}
        self.assertEqual({"first", "second"}, set(reasons))
        for reason in reasons.values():
            self.assertEqual("no node of it has 1 vcpus, 64 MiB of memory and 1 GiB of disk free", reason)
        dry = self.here.call("POST", f"{INSTANCES}?dry_run=true", {"image": "host", "flavor": "tiny"})
        self.assertEqual((409, refused.json()["rejected"]), (dry.status_code, dry.json()["rejected"]))
        # A node that is cordoned by the API is seen so by the worker.
        self.here.call("DELETE", f"{INSTANCES}/only")
        deployment.wait_for(lambda: self.here.log("worker.log"), lambda: room("first") == 1.0)
        acted = self.here.call("POST", "/v1/admin/nodes/first/fake-node/actions", {"action": "cordon"})
        self.assertEqual((200, False), (acted.status_code, acted.json()["schedulable"]))
        deployment.wait_for(lambda: self.here.log("worker.log"), lambda: room("first") == 0.0)
        self.assertEqual(0, self.get("/v1/admin/backends/first")["capacity"]["nodes"])


class RemovedTest(BackendsCase):
    def test_nothing_starts_that_would_leave_instances_alone(self) -> None:
        self.start()
        for number in range(2):
            self.create(f"i-{number}", backend="second")
            self.wait_active(f"i-{number}")
        self.here.stop()
        self.configure(enabled_backends="first")
        line = "[DEFAULT] enabled_backends lacks 'second', which still has 2 instances: put it back, drain it"
        done = subprocess.run(
            self.here.run_module("worker"),
            capture_output=True,
            text=True,
            timeout=60,
            env=self.here.environment(),
        )
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn(line, done.stderr)
        self.assertEqual(1, len([text for text in done.stderr.splitlines() if line in text]), done.stderr)
        self.here.start_api(workers=1)
        answer = self.here.call("GET", INSTANCES)
        self.assertEqual(503, answer.status_code)
        self.assertIn(line, answer.json()["detail"])
        checked = subprocess.run(
            self.here.run_module("status", "upgrade", "check", "--json"),
            capture_output=True,
            text=True,
            timeout=60,
            env=self.here.environment(),
        )
        self.assertEqual(2, checked.returncode)
        self.assertIn(line, json.loads(checked.stdout)["checks"][-1]["details"])
        self.here.stop()
        # The operator's word.
        self.configure(enabled_backends="first", unserved_backends="second")
        self.here.start_api()
        self.here.start_worker()
        status = self.status("i-0")
        self.assertEqual(("active", True), (status["state"], status["stale"]))
        self.wait_active_on_first()
        self.here.stop()
        # And back again.
        self.configure(enabled_backends="first, second", unserved_backends="")
        self.here.start_api()
        self.here.start_worker()
        deployment.wait_for(lambda: self.status("i-0"), lambda: not self.status("i-0")["stale"])
        for number in range(2):
            self.here.call("DELETE", f"{INSTANCES}/i-{number}")
        deployment.wait_for(
            lambda: self.here.log("worker.log"),
            lambda: self.get("/v1/admin/backends/second")["instances"] == 0,
        )

    def wait_active_on_first(self) -> None:
        made = self.create("new")
        self.assertEqual("first", made["spec"]["backend"])
        self.wait_active("new")
