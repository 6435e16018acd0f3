"""The apisvc command as people use it, against apisvc-dev with real processes."""

import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator

import yaml

from tests.functional import deployment
from tests.functional.commands import running

PROMPT = "import sys; from apisvc.commands.cli.app import main; sys.exit(main())"
LOOP = ("--", "sh", "-c", "while :; do date; sleep 0.1; done")


class CommandLineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="apisvc-cli-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        dev = running.Dev(cls.folder / "state")
        dev.setUp()
        cls.addClassCleanup(dev.cleanUp)
        dev.start("--ephemeral")
        cls.addClassCleanup(dev.stop)
        cls.admin = dev.admin_token
        cls.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("APISVC_")},
            "APISVC_URL": dev.url,
            "APISVC_TENANT": "demo",
            "APISVC_TOKEN": dev.token,
            "XDG_CONFIG_HOME": str(cls.folder),
            "COLUMNS": "400",
        }

    def tearDown(self) -> None:
        names = [one["name"] for one in json.loads(self.run_cli("instance", "list", "-f", "json"))]
        if names:
            self.run_cli("instance", "delete", "--wait", *names)

    def run_cli(self, *argv: str, code: int = 0, **environ: str) -> str:
        """What it prints; ``self.err`` is what it says on stderr. Its exit code has to be ``code``."""
        done = subprocess.run(
            [sys.executable, "-c", PROMPT, *argv],
            capture_output=True,
            text=True,
            timeout=120,
            env={**self.environment, **environ},
        )
        self.err = done.stderr
        self.assertEqual(code, done.returncode, f"{argv}: {done.stdout}{done.stderr}")
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout

    def create(self, name: str, *more: str, code: int = 0) -> str:
        return self.run_cli(
            "instance", "create", "--name", name, "--image", "host", "--flavor", "tiny", *more, code=code
        )

    def state(self, name: str) -> str:
        return self.run_cli("instance", "show", name, "-f", "value", "-c", "state").strip()

    @contextlib.contextmanager
    def started(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROMPT, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def test_a_life_in_every_format(self) -> None:
        shown = json.loads(self.create("web", "--label", "a=b", "--wait", "-f", "json", *LOOP))
        self.assertEqual(
            ("active", {"a": "b"}, list(LOOP[1:])), tuple(shown[k] for k in ("state", "labels", "command"))
        )
        self.assertIn("| web ", self.run_cli("instance", "list"))
        for form, read in {"json": json.loads, "yaml": yaml.safe_load, "csv": self._csv}.items():
            with self.subTest(form):
                listed = read(self.run_cli("instance", "list", "--label", "a=b", "-f", form))
                self.assertEqual([("web", "active")], [(one["name"], one["state"]) for one in listed])
        self.run_cli("instance", "stop", "web", "--wait")
        self.assertEqual("stopped", self.state("web"))
        self.run_cli("instance", "start", "web", "--wait")
        self.assertEqual("active", self.state("web"))
        self.run_cli("instance", "reboot", "web", "--wait")
        self.run_cli("instance", "update", "web", "--label", "c=d")
        self.assertEqual(
            "gone", self.run_cli("instance", "delete", "web", "--wait", "-f", "value", "-c", "state").strip()
        )
        self.run_cli("instance", "show", "web", code=3)

    @staticmethod
    def _csv(text: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(text)))

    def test_logs(self) -> None:
        self.create(
            "job",
            "--restart-policy",
            "never",
            "--wait",
            "--env",
            "WHO=you",
            "--",
            "sh",
            "-c",
            "echo hello $WHO; echo bye",
        )
        deployment.wait_for("the job has ended", lambda: self.state("job") == "stopped")
        self.assertEqual("hello you\nbye\n", self.run_cli("instance", "logs", "job"))
        self.assertEqual("bye\n", self.run_cli("instance", "logs", "job", "--tail", "1"))
        self.assertEqual("hello you\nbye\n", self.run_cli("instance", "logs", "job", "-f"))

    def test_followed_logs_end_by_control_c_and_when_the_reader_goes(self) -> None:
        self.create("web", "--wait", *LOOP)
        with self.started("instance", "logs", "web", "-f") as following:
            assert following.stdout is not None
            self.assertTrue(following.stdout.readline())
            following.send_signal(signal.SIGINT)
            self.assertEqual(130, following.wait(60))
            self.assertEqual("", following.communicate()[1])
        with self.started("instance", "logs", "web", "-f") as following:
            assert following.stdout is not None
            self.assertTrue(following.stdout.readline())
            following.stdout.close()
            self.assertEqual(141, following.wait(60))
            assert following.stderr is not None
            self.assertEqual("", following.stderr.read())

    def test_events_are_followed(self) -> None:
        last = json.loads(self.run_cli("event", "list", "-f", "json"))[-1]["revision"]
        with self.started("event", "list", "--follow", "--after", str(last), "-f", "json") as following:
            assert following.stdout is not None
            self.create("web", "--wait", *LOOP)
            actions = []
            while "active" not in actions:
                event = json.loads(following.stdout.readline())
                actions.append(event["detail"].get("state") or event["action"])
        self.assertEqual(["instance.create", "building"], actions[:2])

    def test_quota(self) -> None:
        token = {"APISVC_TOKEN": self.admin, "APISVC_TENANT": "small"}
        self.run_cli("tenant", "create", "small", "--instances", "0", **token)
        argv = ("instance", "create", "--image", "host", "--flavor", "tiny", *LOOP)
        self.run_cli(*argv, code=8, **token)
        self.assertRegex(self.err, r"^apisvc: .*instances.*\[req-[0-9a-f-]+\]\n$")
        self.run_cli("quota", "set", "--instances", "1", **token)
        usage = {
            one["resource"]: one for one in json.loads(self.run_cli("usage", "show", "-f", "json", **token))
        }
        self.assertEqual((1, 0, 1), tuple(usage["instances"][k] for k in ("limit", "used", "free")))

    def test_errors_are_sentences_with_their_own_codes(self) -> None:
        self.run_cli("instance", "show", "nobody", code=3)
        self.assertRegex(self.err, r"^apisvc: No instance 'nobody'\. \[req-[0-9a-f-]+\]\n$")
        self.run_cli("instance", "list", code=4, APISVC_TOKEN="apisvc_wrong")
        self.run_cli("worker", "list", code=4)
        self.run_cli("instance", "list", code=6, APISVC_URL="http://127.0.0.1:1")
        self.run_cli("instance", "list", code=3, APISVC_TENANT="others")
        self.create("web", *LOOP)
        self.create("web", *LOOP, code=7)
        self.create("No Name!", code=1)
        self.assertIn("/name", self.err)

    def test_a_wait_that_fails_and_one_that_is_too_short(self) -> None:
        self.create("bad", "--wait", "--", "/no/such/program", code=9)
        self.assertRegex(self.err, "^apisvc: Instance bad is in error: ")
        self.create(
            "slow", "--wait", "--", "sh", "-c", "trap 'sleep 3; exit' TERM; while :; do sleep 0.1; done"
        )
        self.run_cli("instance", "stop", "slow", "--wait", "--wait-timeout", "0.001", code=5)
        self.assertRegex(self.err, "^apisvc: Instance slow is still ")

    def test_accounts(self) -> None:
        admin = {"APISVC_TOKEN": self.admin}
        self.run_cli("user", "create", "ann", "--email", "ann@example.org", **admin)
        self.run_cli("member", "add", "ann", "--role", "reader", **admin)
        token = self.run_cli(
            "token", "create", "--user", "ann", "--lifetime", "600", "-f", "value", "-c", "token", **admin
        ).strip()
        self.assertEqual(
            "ann", self.run_cli("user", "show", "-f", "value", "-c", "name", APISVC_TOKEN=token).strip()
        )
        argv = ("instance", "create", "--image", "host", "--flavor", "tiny", *LOOP)
        self.run_cli(*argv, code=4, APISVC_TOKEN=token)
        self.run_cli("member", "set", "ann", "--role", "member", **admin)
        self.run_cli(*argv, APISVC_TOKEN=token)
        ids = self._csv(self.run_cli("token", "list", "-f", "csv", APISVC_TOKEN=token))
        self.run_cli("token", "revoke", ids[0]["id"], APISVC_TOKEN=token)
        self.run_cli("user", "show", code=4, APISVC_TOKEN=token)

    def test_the_catalogue_and_the_backends(self) -> None:
        admin = {"APISVC_TOKEN": self.admin}
        self.run_cli("flavor", "create", "huge", "--vcpus", "64", "--ram-mb", "1024", **admin)
        self.run_cli("flavor", "update", "huge", "--ram-mb", "2048", **admin)
        self.assertEqual(
            "2048", self.run_cli("flavor", "show", "huge", "-f", "value", "-c", "ram_mb").strip()
        )
        self.run_cli("flavor", "delete", "huge", **admin)
        self.run_cli("image", "create", "sleeper", "--reference", "local=/bin/sleep", **admin)
        self.run_cli(
            "image", "update", "sleeper", "--reference", "fake=x", "--unset-reference", "local", **admin
        )
        image = json.loads(self.run_cli("image", "show", "sleeper", "--all", "-f", "json", **admin))
        self.assertEqual({"fake": "x"}, image["references"])
        self.run_cli("backend", "set", "local", "--state", "draining", "--reason", "test", **admin)
        self.create("web", *LOOP, code=7)
        self.run_cli("backend", "set", "local", "--state", "enabled", **admin)
        for what in ("backend", "node", "driver", "worker"):
            more = ["--all"] if what == "backend" else []
            listed = json.loads(self.run_cli(what, "list", "-f", "json", *more, **admin))
            self.assertEqual(1, len(listed), what)

    def test_configured_once(self) -> None:
        url, token = self.environment["APISVC_URL"], self.environment["APISVC_TOKEN"]
        bare = {"APISVC_URL": "", "APISVC_TOKEN": "", "APISVC_TENANT": ""}
        self.run_cli(
            "configure", "--url", url, "--token", token, "--tenant", "demo", "--profile", "mine", **bare
        )
        self.run_cli("instance", "list", code=2, **bare)
        self.run_cli("--profile", "mine", "instance", "list", **bare)
