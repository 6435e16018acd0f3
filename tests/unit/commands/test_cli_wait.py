"""``--wait``: until when, how far it is, and how it ends."""

from apisvc.commands.cli import waiting
from tests.unit.client import scripted
from tests.unit.client.scripted import Reply, problem
from tests.unit.commands import cli_case
from tests.unit.commands.cli_case import instance


class WaitTest(cli_case.Prompt):
    def looks(self, *states: str | None) -> scripted.ScriptedServer:
        left = list(states)

        def route(seen: scripted.Seen) -> Reply:
            if seen.method != "GET":
                return Reply(202, instance("pending"))
            if "/events" in seen.path:
                return Reply(
                    200,
                    chunks=[b'{"cursor": 9, "kind": "event", "data": {"id": "%d"}}\n' % n for n in range(9)],
                    media="application/x-ndjson",
                )
            state = left.pop(0) if len(left) > 1 else left[0]
            fault = {"code": "invalid_spec", "message": "No such thing.", "retryable": False}
            if state is None:
                return problem(404, "apisvc.resource.not_found")
            found = instance(state)
            found["status"]["fault"] = fault if state == "error" else None
            return Reply(200, found)

        return self.serve(route=route)

    def create(self, *more: str) -> int:
        return self.cli("instance", "create", "--image", "a", "--flavor", "b", "--wait", *more)

    def test_wait_shows_how_far_it_is_on_a_terminal(self) -> None:
        self.stderr = cli_case.Terminal()
        self.looks("pending", "building", "active")
        self.assertEqual(0, self.create("-f", "value", "-c", "state"))
        self.assertEqual("web: pending -> building -> active\n", self.err)
        self.assertEqual("active\n", self.out)

    def test_wait_is_quiet_elsewhere(self) -> None:
        self.looks("deleting", None)
        self.assertEqual(0, self.cli("instance", "delete", "web", "--wait", "-f", "value", "-c", "state"))
        self.assertEqual(("gone\n", ""), (self.out, self.err))

    def test_wait_that_fails_and_wait_that_ends_early(self) -> None:
        self.looks("error")
        self.assertEqual(9, self.create())
        self.assertEqual("apisvc: Instance web is in error: No such thing. (invalid_spec)\n", self.err)
        self.looks("building")
        self.assertEqual(5, self.create("--wait-timeout", "0.2"))
        self.assertRegex(self.err, "still (pending|building) after 0.2 seconds")

    def test_progress_ends_its_line_also_when_cut_short(self) -> None:
        stream = cli_case.Terminal()
        line = waiting.Progress(stream, "web")
        line.end()
        self.assertEqual("", stream.getvalue())
        fault = {"code": "no_capacity"}
        line.show(instance("error", status={"state": "error", "fault": fault}))
        line.end()
        self.assertEqual("web: error (no_capacity)\n", stream.getvalue())
