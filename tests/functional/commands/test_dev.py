"""apisvc-dev as a newcomer uses it: started, tried, stopped, started again."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import fixtures
import testtools

from tests.functional import deployment
from tests.functional.commands import running

SLEEP = {"name": "hello", "image": "host", "flavor": "tiny", "command": ["sleep", "600"]}


class TestCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.dev = self.useFixture(running.Dev(self.folder / "state"))

    def state_of(self, name: str) -> str | None:
        return self.dev.call("GET", f"/v1/tenants/demo/instances/{name}")[1].get("status", {}).get("state")

    def make(self, name: str) -> None:
        code, made = self.dev.call("POST", "/v1/tenants/demo/instances", {**SLEEP, "name": name})
        self.assertEqual(202, code, made)
        deployment.wait_for(lambda: self.state_of(name), lambda: self.state_of(name) == "active")

    def remove(self, name: str) -> None:
        self.assertEqual(202, self.dev.call("DELETE", f"/v1/tenants/demo/instances/{name}")[0])
        deployment.wait_for(
            f"{name} is gone", lambda: self.dev.call("GET", f"/v1/tenants/demo/instances/{name}")[0] == 404
        )

    def processes(self) -> list[str]:
        """The processes whose folder lies in our state folder."""
        found = []
        for each in pathlib.Path("/proc").glob("[0-9]*/cwd"):
            try:
                place = os.readlink(each)
            except OSError:
                continue
            if place.startswith(str(self.folder)):
                found.append(each.parent.name)
        return found


class TestDev(TestCase):
    def test_everything_survives_a_restart(self) -> None:
        self.dev.start()
        tokens = (self.dev.token, self.dev.admin_token)
        self.make("hello")
        alive = self.processes()
        self.assertNotEqual([], alive)
        self.assertEqual(0, self.dev.stop())
        self.assertIn("instances go on", self.dev.said())
        self.assertEqual(set(alive), set(self.processes()))

        self.dev.start()
        self.assertEqual(tokens, (self.dev.token, self.dev.admin_token))
        self.assertEqual("active", self.state_of("hello"))
        self.remove("hello")
        deployment.wait_for(self.processes, lambda: not self.processes())
        self.assertEqual(0, self.dev.stop(signal.SIGTERM))

    def test_after_kill_nine_it_starts_at_once(self) -> None:
        self.dev.start()
        self.make("hello")
        self.dev.stop(signal.SIGKILL)
        self.dev.start()
        self.remove("hello")
        self.assertEqual(0, self.dev.stop())

    def test_state_is_for_the_owner_alone(self) -> None:
        self.dev.start()
        self.dev.stop()
        self.assertEqual(0o700, self.dev.state.stat().st_mode & 0o777)
        self.assertEqual(0o600, (self.dev.state / "tokens.json").stat().st_mode & 0o777)

    def test_the_seeded_users_may_what_they_should(self) -> None:
        self.dev.start()
        self.assertEqual(200, self.dev.call("GET", "/v1/tenants/demo")[0])
        self.assertEqual(403, self.dev.call("GET", "/v1/admin/tenants")[0])
        self.assertEqual(200, self.dev.call("GET", "/v1/admin/tenants", token=self.dev.admin_token)[0])
        self.assertEqual(401, self.dev.call("GET", "/v1/user", token="apisvc_wrong")[0])

    def test_ephemeral_leaves_nothing(self) -> None:
        self.dev.start("--ephemeral")
        self.make("hello")
        self.assertEqual(0, self.dev.stop())
        self.assertEqual(["output"], [path.name for path in self.folder.iterdir()])
        kept = re.search(r"http://\S+ \((.*?);", self.dev.said())
        self.assertEqual("nothing is kept", kept[1])


class TestRefusals(TestCase):
    def refused(self, *argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "apisvc.main_dev", "--state-dir", str(self.dev.state), *argv],
            cwd=running.TREE,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertEqual(1, done.stderr.count("\n"), done.stderr)
        return done.stderr

    def test_a_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            line = self.refused("--port", str(other.getsockname()[1]))
        self.assertRegex(line, r"apisvc-dev: port \d+ on 127.0.0.1 is in use; .*--port N")

    def test_a_listener_that_others_reach(self) -> None:
        line = self.refused("--host", "0.0.0.0", "--port", "0")
        self.assertIn("the backend 'local' runs commands on this host", line)
        self.assertIn("set [local] allow_remote = true", line)

    def test_a_folder_that_cannot_be(self) -> None:
        (self.folder / "file").write_text("")
        line = self.refused("--state-dir", str(self.folder / "file" / "state"))
        self.assertIn("--state-dir DIR", line)

    def test_a_wrong_value(self) -> None:
        config = self.folder / "more.conf"
        config.write_text("[worker]\nthreads = none\n")
        line = self.refused("--port", "0", "--config-file", str(config))
        self.assertIn("[worker] threads = none in ", line)
