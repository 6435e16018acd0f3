"""The real server against its own OpenAPI document, by a tool that has read nothing but that."""

import pathlib
import subprocess
import sys

import fixtures
import testtools

from tests.functional.commands import running

#: Seconds in which as many cases are tried as will do.
BUDGET = 30
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
CONFIG = """\
[DEFAULT]
enabled_backends = sim
[sim]
driver = fake
[api]
request_timeout = 60
"""
#: Feeds and followed logs have no end; they have tests of their own.
ENDLESS = '[parameters]\n"query.follow" = false\n'


class Conformance(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        config = self.folder / "fake.conf"
        config.write_text(CONFIG)
        (self.folder / "schemathesis.toml").write_text(ENDLESS)
        self.dev = self.useFixture(running.Dev(self.folder / "state"))
        self.dev.start("--ephemeral", "--config-file", str(config))

    def test_what_is_answered_is_what_is_documented(self) -> None:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{self.dev.url}/v1/openapi.json"]
        command += ["--header", f"X-Auth-Token: {self.dev.admin_token}", "--checks", ",".join(CHECKS)]
        command += ["--phases", "examples,coverage", "--max-time", str(BUDGET), "--request-timeout", "90"]
        command += ["--seed", "1", "--continue-on-failure", "--no-color", "--exclude-path-regex", "^/docs"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=BUDGET * 10)
        self.assertEqual(0, done.returncode, f"{done.stdout}\n{done.stderr}")
        self.assertNotIn("Traceback", self.dev.said())
