"""The API under gunicorn and the worker beside it, started in each way that people try."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import fixtures
import testtools

from tests import ports
from tests.functional import deployment
from tests.functional.commands import running

GUNICORN = [sys.executable, "-m", "gunicorn"]


class TestCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.environ = {**os.environ, "XDG_STATE_HOME": str(self.folder), "HOME": str(self.folder)}
        self.environ.pop("APISVC_CONFIG_DIR", None)
        self.port = ports.reserve(self.addCleanup)

    def spawn(self, *command: str, cwd: pathlib.Path = running.TREE) -> subprocess.Popen[bytes]:
        log = open(self.folder / "log", "ab")  # noqa: SIM115 (the child's until it ends)
        self.addCleanup(log.close)
        process = subprocess.Popen(command, cwd=cwd, env=self.environ, stdout=log, stderr=log)
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def gunicorn(self, app: str, *argv: str, cwd: pathlib.Path = running.TREE) -> subprocess.Popen[bytes]:
        bound = [] if "-b" in argv else ["-b", f"127.0.0.1:{self.port}"]
        process = self.spawn(*GUNICORN, "--workers=2", *bound, *argv, app, cwd=cwd)
        deployment.wait_for(self.log, lambda: self.get("/healthcheck")[0] or process.poll() is not None)
        return process

    def get(self, path: str, token: str = "", body: object = None) -> tuple[int, dict]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Auth-Token": token, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    def deploy(self, more: str = "") -> str:
        """A configuration with keys and an admin; returns the admin's token."""
        config = self.folder / "etc"
        config.mkdir()
        (config / "apisvc.conf").write_text(
            f"[DEFAULT]\nstate_dir = {self.folder}\nenabled_backends = here\n[here]\ndriver = local\n{more}"
        )
        self.environ["APISVC_CONFIG_DIR"] = str(config)
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from apisvc.commands import manage; sys.exit(manage.main())",
                "bootstrap",
            ],
            cwd=running.TREE,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.strip()


class TestDevelopment(TestCase):
    def test_in_the_folder_with_two_processes(self) -> None:
        self.gunicorn("main_dev:app", cwd=running.TREE / "apisvc")
        token = json.loads((self.folder / "apisvc" / "tokens.json").read_text())["demo"]
        body = {"name": "a", "image": "host", "flavor": "tiny", "command": ["sleep", "600"]}
        self.assertEqual(202, self.get("/v1/tenants/demo/instances", token, body)[0], self.log())
        path = "/v1/tenants/demo/instances/a"
        deployment.wait_for(self.log, lambda: self.get(path, token)[1]["status"]["state"] == "active")
        self.assertEqual(1, self.log().count("describes itself"))
        self.assertIn(f"APISVC_URL=http://127.0.0.1:{self.port} ", self.log())
        self.get(f"{path}/actions", token, {"action": "stop"})
        deployment.wait_for(self.log, lambda: self.get(path, token)[1]["status"]["state"] == "stopped")


class TestProduction(TestCase):
    def test_both_ways_serve(self) -> None:
        token = self.deploy()
        for app, cwd in (("main:app", running.TREE / "apisvc"), ("apisvc.main:app", running.TREE)):
            process = self.gunicorn(app, cwd=cwd)
            self.assertEqual(200, self.get("/v1/admin/tenants", token)[0], self.log())
            self.assertEqual(0, self.end(process))

    def test_with_the_settings_we_ship(self) -> None:
        token = self.deploy()
        process = self.gunicorn("apisvc.main:app", "-c", "etc/gunicorn.conf.py")
        config = self.folder / "etc" / "apisvc.conf"
        good = config.read_text()
        for booted, text, docs in (
            (2, good, 200),
            (4, f"{good}[api]\ndocs = false\n", 404),
            (6, f"{good}[api]\ndocs = perhaps\n", 404),  # wrong: all stays as it was
            (8, good, 200),
        ):
            config.write_text(text)
            if booted > 2:
                process.send_signal(signal.SIGHUP)
            deployment.wait_for(self.log, lambda booted=booted: self.log().count("Booting worker") == booted)
            deployment.wait_for(self.log, lambda docs=docs: self.get("/docs/openapi.json")[0] == docs)
            self.assertEqual(200, self.get("/v1/admin/tenants", token)[0], self.log())
        self.assertEqual(1, self.log().count("Not reloaded; the configuration stays as it was: [api] docs"))
        self.assertNotIn("Traceback", self.log())
        self.assertEqual(0, self.end(process))

    def test_what_is_wrong_is_said_and_gunicorn_stops(self) -> None:
        self.deploy()
        with open(self.folder / "etc" / "apisvc.conf", "a") as config:
            config.write("[worker]\nthreads = none\n")
        for argv in ((), ("-c", "etc/gunicorn.conf.py")):
            process = self.gunicorn("apisvc.main:app", *argv)
            self.assertNotEqual(0, process.wait(90))
            self.assertIn("apisvc: [worker] threads = none in ", self.log())
        # With our settings it is said once, before anything is forked.
        self.assertEqual(4, process.returncode)

    def test_other_hosts_are_not_served_while_commands_run_here(self) -> None:
        self.deploy()
        self.spawn(*GUNICORN, "-b", f"0.0.0.0:{self.port}", "apisvc.main:app")
        deployment.wait_for(self.log, lambda: self.get("/healthcheck")[0] == 200)
        code, problem = self.get("/v1")
        self.assertEqual((503, "apisvc.unavailable"), (code, problem["code"]))
        self.assertIn("[here] allow_remote = true", problem["detail"])


class TestWorker(TestCase):
    def test_a_worker_is_reloaded_and_stopped(self) -> None:
        token = self.deploy("[worker]\nprocesses = 2\n")
        self.gunicorn("apisvc.main:app")
        code = "import sys; from apisvc.commands import worker; sys.exit(worker.main())"
        process = self.spawn(sys.executable, "-c", code)
        deployment.wait_for(self.log, lambda: self.log().count("serves here") == 2)
        workers = {each["id"] for each in self.get("/v1/admin/workers", token)[1]["workers"]}
        self.assertEqual(2, len(workers))
        process.send_signal(signal.SIGHUP)
        deployment.wait_for(self.log, lambda: self.log().count("serves here") == 4)
        deployment.wait_for(
            self.log,
            lambda: not workers & {e["id"] for e in self.get("/v1/admin/workers", token)[1]["workers"]},
        )
        self.assertEqual(0, self.end(process))
        self.assertEqual([], self.get("/v1/admin/workers", token)[1]["workers"])

    def test_a_reload_of_a_wrong_configuration_leaves_all_as_it_is(self) -> None:
        self.deploy()
        code = "import sys; from apisvc.commands import worker; sys.exit(worker.main())"
        process = self.spawn(sys.executable, "-c", code)
        deployment.wait_for(self.log, lambda: self.log().count("serves here") == 1)
        config = self.folder / "etc" / "apisvc.conf"
        good = config.read_text()
        config.write_text(f"{good}[worker]\nthreads = none\n")
        process.send_signal(signal.SIGHUP)
        deployment.wait_for(self.log, lambda: self.log().count("serves here") == 2)
        self.assertIn(
            "Not reloaded; the configuration stays as it was: [worker] threads = none in", self.log()
        )
        config.write_text(f"{good}[worker]\nthreads = 2\n")
        process.send_signal(signal.SIGHUP)
        deployment.wait_for(self.log, lambda: self.log().count("serves here") == 3)
        self.assertEqual(1, self.log().count("Not reloaded"))
        self.assertNotIn("Traceback", self.log())
        self.assertEqual(0, self.end(process))
