"""``apisvc credential ...``, ``instance console`` and wrong uses of ``instance exec``, against a scripted server."""

import pathlib
import stat

from tests.unit.client.scripted import Reply
from tests.unit.commands import cli_case

MADE = {
    "id": "c1",
    "kind": "kubeconfig",
    "expires_at": "2026-11-22T08:15:30.123456Z",
    "content": "apiVersion: v1\n",
}


class AccessTest(cli_case.Prompt):
    def test_a_credential_is_written_where_it_was_asked_for(self) -> None:
        self.serve(Reply(201, MADE), Reply(201, MADE))
        self.assertEqual(0, self.cli("credential", "create", "east", "--seconds", "600"), self.err)
        self.assertEqual(MADE["content"], self.out)
        self.assertIn("kubeconfig c1, good until 2026-11-22T08:15:30", self.err)
        sent = self.server.seen[0]
        self.assertEqual("/v1/tenants/acme/backends/east/credentials", sent.path)
        self.assertEqual({"seconds": 600}, sent.body)
        self.assertNotIn("Idempotency-Key", sent.headers)
        path = pathlib.Path(self.home, "config")
        self.assertEqual(0, self.cli("credential", "create", "east", "--output", str(path)), self.err)
        self.assertEqual(("", MADE["content"]), (self.out, path.read_text()))
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))

    def test_where_it_cannot_be_written_none_is_asked_for(self) -> None:
        self.serve()
        for path in (self.home, f"{self.home}/nowhere/config"):
            self.assertEqual(2, self.cli("credential", "create", "east", "--output", path))
            self.assertIn("cannot be written", self.err)
        self.assertEqual([], self.server.seen)

    def test_listed_and_revoked(self) -> None:
        self.serve(Reply(200, {"credentials": [MADE], "next": None}), Reply(204))
        self.assertEqual(0, self.cli("credential", "list", "east", "-f", "value", "-c", "id"), self.err)
        self.assertEqual("c1\n", self.out)
        self.assertEqual(0, self.cli("credential", "revoke", "east", "c1"), self.err)
        self.assertEqual(
            ("DELETE", "/v1/tenants/acme/backends/east/credentials/c1"),
            (self.server.seen[1].method, self.server.seen[1].path),
        )

    def test_the_console(self) -> None:
        self.serve(Reply(200, {"kind": "novnc", "url": "https://c.example.com/x"}))
        self.assertEqual(0, self.cli("instance", "console", "web", "-f", "value", "-c", "url"), self.err)
        self.assertEqual("https://c.example.com/x\n", self.out)
        self.assertEqual("/v1/tenants/acme/instances/web/console", self.server.seen[0].path)

    def test_exec_needs_a_program_and_a_service_that_has_terminals(self) -> None:
        self.serve(Reply(200, {"hello": "world"}))
        self.assertEqual(2, self.cli("instance", "exec", "web"))
        self.assertIn("follows '--'", self.err)
        self.assertEqual(1, self.cli("instance", "exec", "web", "--", "ls"))
        self.assertIn("/v1/tenants/acme/instances/web/exec", self.err)
        self.assertNotIn("Traceback", self.err)
