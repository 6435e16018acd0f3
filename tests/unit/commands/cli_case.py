"""The command line at a prompt, with a scripted server to talk to."""

import io
import tempfile
import unittest
from typing import Any
from unittest import mock

from apisvc.commands.cli import app
from tests.unit import logs
from tests.unit.client import scripted
from tests.unit.client.scripted import Reply


def instance(state: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "id": "i1",
        "tenant_id": "t1",
        "name": "web",
        "labels": {"a": "1"},
        "generation": 1,
        "revision": 7,
        "spec": {"image": "host", "flavor": "tiny", "command": ["sh", "-c", "a b"], "env": {"X": "1"}},
        "status": {"state": state, "observed_generation": 1, "fault": None, "node": None},
        **more,
    }


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Prompt(unittest.TestCase):
    """A prompt with a home of its own, and a scripted service."""

    def setUp(self) -> None:
        self.home = self.enterContext(tempfile.TemporaryDirectory())
        self.stderr: io.StringIO = io.StringIO()
        kept = logs.KeepLogging()
        kept.setUp()
        self.addCleanup(kept.cleanUp)

    def serve(self, *replies: Reply, **kw: Any) -> scripted.ScriptedServer:
        self.server = self.enterContext(scripted.ScriptedServer(replies, **kw))
        return self.server

    def cli(self, *argv: str, stdin: str = "", **environ: str) -> int:
        """The exit code; output is in ``self.out`` and ``self.err``."""
        if hasattr(self, "server"):
            base = {"APISVC_URL": self.server.url, "APISVC_TOKEN": "secret", "APISVC_TENANT": "acme"}
            environ = {**base, **environ}
        stdout = io.StringIO()
        line = app.CommandLine(
            {"XDG_CONFIG_HOME": self.home, **environ},
            stdin=io.StringIO(stdin),
            stdout=stdout,
            stderr=self.stderr,
        )
        with mock.patch("sys.stderr", self.stderr):
            try:
                code = line.run(list(argv))
            except SystemExit as end:
                code = int(end.code or 0)
        self.out, self.err = stdout.getvalue(), self.stderr.getvalue()
        return code
