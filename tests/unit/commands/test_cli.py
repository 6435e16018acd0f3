"""The command line against a scripted server: what it sends, prints and returns."""

import datetime
import io
import json
import pathlib
import re
import urllib.parse

from apisvc.commands.cli import exits
from tests import ports
from tests.unit.client import scripted
from tests.unit.client.scripted import Reply, problem
from tests.unit.commands import cli_case
from tests.unit.commands.cli_case import instance


class CliTest(cli_case.Prompt):
    # What is sent

    def test_create_sends_the_whole_instance(self) -> None:
        self.serve(Reply(202, instance("pending")))
        secret = pathlib.Path(self.home, "secret")
        secret.write_text("from file\n")
        code = self.cli(
            "instance", "create", "--name", "web", "--image", "host", "--flavor", "tiny", "--env", "A=b=c",
            "--secret-env", "P=x", "--secret-env", "Q", "--secret-env", f"R=@{secret}", "--label", "stage=test",
            "--port", "80", "--arg", "z", "--restart-policy", "never", "--stopped", "-f", "json",
            "--", "sh", "-c", "echo --; exit", "--", "--url",
            Q="from environment",
        )  # fmt: skip
        self.assertEqual(0, code, self.err)
        self.assertEqual("/v1/tenants/acme/instances", self.server.seen[0].path)
        self.assertEqual(
            {
                "name": "web",
                "image": "host",
                "flavor": "tiny",
                "env": {"A": "b=c"},
                "secret_env": {"P": "x", "Q": "from environment", "R": "from file"},
                "labels": {"stage": "test"},
                "ports": [80],
                "args": ["z"],
                "restart_policy": "never",
                "power": "stopped",
                "command": ["sh", "-c", "echo --; exit", "--", "--url"],
            },
            self.server.seen[0].body,
        )
        shown = json.loads(self.out)
        self.assertEqual(
            ("web", "pending", "tiny", {"a": "1"}),
            tuple(shown[k] for k in ("name", "state", "flavor", "labels")),
        )

    def test_what_a_machine_is_given(self) -> None:
        self.serve(Reply(202, instance("pending")), Reply(202, instance()))
        key, told = pathlib.Path(self.home, "id.pub"), pathlib.Path(self.home, "init")
        key.write_text("ssh-ed25519 AAAA ann\n")
        told.write_text("#cloud-config\n")
        code = self.cli(
            "instance", "create", "--image", "host", "--flavor", "tiny", "--ssh-key", str(key), "--user-data", str(told),
            "--network", "a", "--network", "b", "--security-group", "web", "--public-address", "--volume", "3",
        )  # fmt: skip
        self.assertEqual(0, code, self.err)
        machine = {
            "ssh_key": "ssh-ed25519 AAAA ann",
            "user_data": "#cloud-config\n",
            "networks": ["a", "b"],
            "security_groups": ["web"],
            "public_address": True,
            "volumes": [3],
        }
        self.assertEqual(machine, {name: self.server.seen[0].body[name] for name in machine})
        code = self.cli(
            "instance", "update", "web", "--no-public-address", "--ssh-key", "", "--user-data", ""
        )
        self.assertEqual(0, code, self.err)
        self.assertEqual({"public_address": False, "ssh_key": "", "user_data": ""}, self.server.seen[1].body)

    def query(self, number: int) -> dict[str, str]:
        """The query of a request."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.server.seen[number].path).query))

    def test_logs_since_and_of_the_run_before(self) -> None:
        self.serve(*[Reply(200, b"hello\n", media="text/plain")] * 2)
        asked = ["instance", "logs", "web", "--previous", "--since", "2026-11-22T08:15:30Z"]
        self.assertEqual((0, "hello\n"), (self.cli(*asked), self.out), self.err)
        query = {"since": "2026-11-22T08:15:30+00:00", "previous": "true"}
        self.assertEqual(query, self.query(0))
        before = datetime.datetime.now(datetime.UTC)
        self.assertEqual(0, self.cli("instance", "logs", "web", "--since", "5m"), self.err)
        ago = before - datetime.datetime.fromisoformat(self.query(1)["since"])
        self.assertLess(abs(ago.total_seconds() - 300), 60)
        for wrong in (["--since", "soon"], ["--since", "1e999d"], ["--follow", "--previous"]):
            self.assertEqual(2, self.cli("instance", "logs", "web", *wrong))

    def test_update_changes_what_is_named_and_guards_what_it_merges(self) -> None:
        self.serve(Reply(200, instance()), Reply(202, instance()))
        code = self.cli(
            "instance", "update", "web", "--label", "b=2", "--unset-label", "a", "--unset-secret-env", "P"
        )
        self.assertEqual(0, code, self.err)
        sent = self.server.seen[1]
        self.assertEqual('"7"', sent.headers["If-Match"])
        self.assertEqual({"labels": {"b": "2"}, "env": {"X": "1"}, "secret_env": {"P": None}}, sent.body)

    def test_global_options_win_and_stand_anywhere(self) -> None:
        self.serve(Reply(200, {"instances": [], "next": None}))
        self.assertEqual(
            0, self.cli("--token", "other", "instance", "list", "--tenant", "b", "--state", "error")
        )
        self.assertEqual("/v1/tenants/b/instances?state=error", self.server.seen[0].path)
        self.assertEqual("other", self.server.seen[0].headers["X-Auth-Token"])

    def test_actions_are_done_with_all_though_one_fails(self) -> None:
        def route(seen: scripted.Seen) -> Reply:
            if "/b/" in seen.path:
                return problem(404, "apisvc.resource.not_found", "No instance 'b'.")
            return Reply(202, instance("stopping"))

        self.serve(route=route)
        self.assertEqual(3, self.cli("instance", "stop", "a", "b", "c", "-f", "value", "-c", "state"))
        self.assertEqual("stopping\nstopping\n", self.out)
        self.assertEqual("apisvc: No instance 'b'. [req-1]\n", self.err)
        self.assertEqual([{"action": "stop"}] * 3, [seen.body for seen in self.server.seen])

    # What is shown

    def test_every_format(self) -> None:
        for form, part in {
            "table": "| sh -c 'a b' |",
            "json": '"command": [',
            "yaml": "- a b",
            "shell": "command=\"['sh', '-c', 'a b']\"",
        }.items():
            with self.subTest(form):
                self.serve(Reply(200, instance()))
                self.assertEqual(
                    0, self.cli("instance", "show", "web", "-f", form, "-c", "command"), self.err
                )
                self.assertIn(part.replace(" ", ""), self.out.replace(" ", ""))
        self.serve(Reply(200, {"instances": [instance(), instance()], "next": None}))
        self.assertEqual(
            0, self.cli("instance", "list", "-f", "csv", "-c", "name", "-c", "state", "--limit", "1")
        )
        self.assertEqual(['"name","state"', '"web","active"'], self.out.splitlines())

    def test_logs_pass_as_they_are(self) -> None:
        self.serve(Reply(200, chunks=[b"one\n", b"tw", b"o\n"], media="text/plain"))
        self.assertEqual(0, self.cli("instance", "logs", "web", "-f", "--tail", "2"), self.err)
        self.assertEqual("one\ntwo\n", self.out)
        self.assertEqual("/v1/tenants/acme/instances/web/logs?tail=2&follow=true", self.server.seen[0].path)

    def test_events_are_followed_line_by_line(self) -> None:
        event = {
            "id": "e1",
            "revision": 5,
            "at": "2026-01-01T00:00:00Z",
            "action": "instance.create",
            "actor": {"kind": "user", "id": "u1", "name": "ann"},
            "target": {"kind": "instance", "id": "i1", "name": "web"},
            "detail": {"vcpus": 1},
        }
        end = problem(410, "apisvc.cursor.expired", "Too old.")
        line = json.dumps({"cursor": 5, "kind": "event", "data": event}).encode() + b"\n"
        self.serve(Reply(200, chunks=[line], media="application/x-ndjson"), end)
        self.assertEqual(1, self.cli("event", "list", "--follow", "--after", "4"))
        self.assertEqual("2026-01-01T00:00:00Z ann instance.create web vcpus=1\n", self.out)
        self.serve(Reply(200, chunks=[line], media="application/x-ndjson"), end)
        self.cli("event", "list", "--follow", "-f", "json")
        self.assertEqual(event, json.loads(self.out))

    def test_events_are_filtered_in_pages_and_in_feeds(self) -> None:
        self.serve(
            Reply(200, {"events": [], "next": None}), problem(410, "apisvc.cursor.expired", "Too old.")
        )
        wanted = ("--action", "instance", "--target", "i1")
        self.assertEqual(0, self.cli("event", "list", *wanted, "--since", "2026-01-01T00:00:00Z"), self.err)
        self.cli("event", "list", "--follow", "--after", "4", *wanted)
        for seen in self.server.seen:
            self.assertIn("action=instance&target_id=i1", seen.path)
        self.assertIn("since=2026-01-01T00", self.server.seen[0].path)

    # Errors

    def test_exit_codes(self) -> None:
        exceeded = "vcpus: limit 2, used 2, asked 1."
        for reply, code, text in (
            (
                problem(
                    400, "apisvc.request.invalid", "Bad.", errors=[{"pointer": "/name", "detail": "long"}]
                ),
                1,
                "Bad.\n  /name: long [req-1]",
            ),
            (problem(401, "apisvc.auth.required"), 4, "No. [req-1]"),
            (problem(403, "apisvc.policy.denied"), 4, "No. [req-1]"),
            (problem(403, "apisvc.quota.exceeded", exceeded), 8, exceeded + " [req-1]"),
            (problem(404, "apisvc.resource.not_found"), 3, "No. [req-1]"),
            (problem(409, "apisvc.resource.wrong_state"), 7, "No. [req-1]"),
            (problem(412, "apisvc.request.precondition_failed"), 7, "No. [req-1]"),
            (problem(503, "apisvc.unavailable", headers={"Retry-After": "999"}), 6, "No. [req-1]"),
            (problem(500, "apisvc.internal"), 1, "No. [req-1]"),
            (Reply(200, b"<html>", media="text/html"), 1, "is it an apisvc?"),
        ):
            with self.subTest(code=code, text=text):
                self.stderr = io.StringIO()
                self.serve(reply)
                self.assertEqual(code, self.cli("instance", "show", "web"))
                self.assertTrue(self.err.startswith("apisvc: "), self.err)
                self.assertIn(text, self.err)
                self.assertNotIn("Traceback", self.err)

    def test_wrong_usage(self) -> None:
        for argv in (
            ["instance", "show"],
            ["instance", "create", "--image", "a", "--flavor", "b", "--env", "novalue"],
            ["instance", "create", "--image", "a", "--flavor", "b", "--secret-env", "NOT_THERE"],
            ["instance", "create", "--image", "a", "--flavor", "b", "--secret-env", "A=@/nowhere"],
            ["instance", "list", "--", "x"],
            ["instance", "update", "web"],
            ["--url", "nonsense", "instance", "show", "web"],
            ["--cacert", "/nowhere", "instance", "show", "web"],
            ["--timeout", "-1", "instance", "show", "web"],
            ["--profile", "nobody", "instance", "show", "web"],
            ["instance", "show", ""],
            ["instance", "bake"],
            [],
        ):
            with self.subTest(argv):
                self.serve()
                self.assertEqual(2, self.cli(*argv), self.err)
                self.assertEqual([], self.server.seen)

    def test_a_column_that_is_not_there(self) -> None:
        self.serve(Reply(200, instance()))
        self.assertEqual(2, self.cli("instance", "show", "web", "-c", "colour"))
        self.assertIn("No recognized column names", self.err)

    def test_whom_to_talk_to_is_asked_for(self) -> None:
        self.assertEqual(2, self.cli("instance", "list"))
        self.assertIn("APISVC_URL", self.err)
        self.assertEqual(2, self.cli("instance", "list", APISVC_URL="http://127.0.0.1:1"))
        self.assertIn("APISVC_TENANT", self.err)

    def test_nobody_listens(self) -> None:
        url = f"http://127.0.0.1:{ports.reserve(self.addCleanup)}"
        self.assertEqual(6, self.cli("--url", url, "user", "show"))
        self.assertEqual(f"apisvc: Cannot reach {url}: connection refused.\n", self.err)

    def test_debug_adds_the_trace_and_keeps_the_code(self) -> None:
        self.serve(problem(404, "apisvc.resource.not_found"))
        self.assertEqual(3, self.cli("--debug", "instance", "show", "web"))
        self.assertIn("Traceback", self.err)

    def test_help_names_the_exit_codes(self) -> None:
        self.assertEqual(0, self.cli("--help"))
        self.assertIn("exit codes:", self.out)
        self.assertEqual(set(exits.Exit), set(exits.MEANINGS))
        for code, meaning in exits.MEANINGS.items():
            self.assertRegex(self.out, rf"(?m)^ +{code.value}  {re.escape(meaning)}$")
