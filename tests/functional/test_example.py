"""A third party's package, installed beside apisvc and used over HTTP."""

import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import requests

from apisvc import client
from tests import ports
from tests.functional import deployment, scratch
from tests.functional.commands import running

EXAMPLE = running.TREE / "examples" / "apisvc-example"
WORKER = "import sys; from apisvc.commands.worker import main; sys.exit(main())"
MANAGE = "import sys; from apisvc.commands.manage import main; sys.exit(main())"

CONFIG = """
[DEFAULT]
state_dir = {folder}/state
enabled_backends = share
[share]
driver = folder
root = {folder}/share
[auth]
drivers = token, proxy
[proxy]
secret = {secret}
[api]
routes = admin, tenant, user, report
"""
SECRET = "a secret of the test"


class ExampleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="apisvc-example-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.package = cls.folder / "package"
        cls.python = scratch.install(EXAMPLE, cls.package, cls.folder / "venv")
        cls._deploy()

    @classmethod
    def _deploy(cls) -> None:
        template = cls.folder / "share" / "templates" / "website"
        template.mkdir(parents=True)
        (template / "index.html").write_text("<h1>Hello</h1>")
        config = cls.folder / "apisvc.conf"
        config.write_text(CONFIG.format(folder=cls.folder, secret=SECRET))
        chosen = ("--config-file", str(config))
        token = scratch.output(cls.python, "-c", MANAGE, *chosen, "bootstrap").strip()
        port = ports.reserve(cls.addClassCleanup)
        cls._start(
            "-m",
            "gunicorn",
            "--workers=2",
            "-k",
            "gthread",
            "--threads=4",
            "-b",
            f"127.0.0.1:{port}",
            "apisvc.main:app",
        )
        cls._start("-c", WORKER, *chosen)
        cls.url = f"http://127.0.0.1:{port}"
        cls.api = client.Client(cls.url, token, attempts=30)
        cls.addClassCleanup(cls.api.close)
        deployment.wait_for(cls._log, cls._answers)
        cls.api.tenants.create(name="acme")
        cls.api.flavors.create(name="tiny", vcpus=1, ram_mb=1, disk_gb=0)
        cls.api.images.create(name="website", references={"folder": "website"})

    @classmethod
    def _answers(cls) -> bool:
        try:
            return bool(list(cls.api.workers.list()))
        except client.Unreachable:
            return False

    @classmethod
    def _start(cls, *command: str) -> None:
        environ = {**os.environ, "APISVC_CONFIG_DIR": str(cls.folder)}
        with (cls.folder / "log").open("ab") as log:
            process = subprocess.Popen([cls.python, *command], stdout=log, stderr=log, env=environ)

        def end() -> None:
            process.terminate()
            try:
                process.wait(90)
            finally:
                process.kill()

        cls.addClassCleanup(end)

    @classmethod
    def _log(cls) -> str:
        return (cls.folder / "log").read_text()

    def test_its_own_tests_pass(self) -> None:
        scratch.output(self.python, "-m", "unittest", "discover", "-s", "tests", "-t", ".", cwd=self.package)

    def test_an_instance_is_a_folder(self) -> None:
        driver = next(iter(self.api.drivers.list()))
        self.assertEqual(
            ("folder", ["nodes"], ["share"]), tuple(driver[k] for k in ("name", "capabilities", "backends"))
        )
        made = self.api.instances.create("acme", name="site", image="website", flavor="tiny")
        self.api.wait(made, "active", 180)
        place = self.folder / "share" / "apisvc" / made["tenant_id"] / made["id"]
        self.assertEqual("<h1>Hello</h1>", (place / "data" / "index.html").read_text())
        with self.assertRaises(client.Conflict) as caught:
            self.api.instances.stop("acme", "site")
        self.assertEqual("apisvc.backend.unsupported", caught.exception.code)
        self.api.wait(self.api.instances.delete("acme", "site"), "gone", 180)
        self.assertFalse(place.exists())

    def test_what_it_refuses_is_said_to_the_tenant(self) -> None:
        made = self.api.instances.create("acme", image="website", flavor="tiny", command=["sh"])
        with self.assertRaisesRegex(client.WaitFailed, "A folder runs nothing"):
            self.api.wait(made, "active", 180)
        self.api.wait(self.api.instances.delete("acme", made["id"]), "gone", 180)

    def test_the_proxy_says_who_it_is(self) -> None:
        for secret, status in ((SECRET, 200), ("another", 401)):
            headers = {"X-Remote-User": "admin", "X-Remote-Secret": secret}
            answer = requests.get(f"{self.url}/v1/admin/tenants", headers=headers, timeout=30)
            self.assertEqual(status, answer.status_code, answer.text)

    def test_the_report(self) -> None:
        names = [f"site-{number}" for number in range(3)]
        for name in names:
            self.api.instances.create("acme", name=name, image="website", flavor="tiny")
        path = "/v1/tenants/acme/report"
        rows = list(csv.DictReader(io.StringIO(b"".join(self.api.text(path, {"limit": 2})).decode())))
        self.assertLessEqual(set(names), {row["name"] for row in rows})
        self.assertEqual({"website"}, {row["image"] for row in rows})
        document = self.api.call("GET", "/v1/openapi.json")
        self.assertEqual(
            "show_report", document["paths"]["/v1/tenants/{tenant}/report"]["get"]["operationId"]
        )
        for name in names:
            self.api.wait(self.api.instances.delete("acme", name), "gone", 180)

    def test_the_report_is_guarded_like_everything_else(self) -> None:
        stranger = self.api.users.create(name="stranger")
        token = self.api.tokens.create(stranger["id"], lifetime=600)["token"]
        for secret, error in ((token, client.NotFound), (None, client.Unauthenticated)):
            with client.Client(self.url, secret) as api, self.assertRaises(error) as caught:
                list(api.text("/v1/tenants/acme/report"))
            self.assertNotIn("report", json.dumps(dict(caught.exception.problem)))
        with self.assertRaises(client.InvalidRequest):
            list(self.api.text("/v1/tenants/acme/report", {"colour": "red"}))
