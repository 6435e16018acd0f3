"""Commands, terminals, consoles and credentials over HTTP, on fake backends."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request

import websockets
from websockets.sync import client as sync_client

from apisvc import client
from apisvc.client import terminals
from apisvc.commands import server
from apisvc.compute import base as compute
from apisvc.compute import fake
from apisvc.model import instances
from apisvc.service import tokens
from tests.unit.routes import instances_case

State = instances.State


class AccessCase(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.run_it(self.post(name="web"))
        self.settle("web", State.ACTIVE, self.blue)
        self.script = self.drivers["east"].script

    def told(self, action):
        """The events of an action, newest last."""
        return [event for event in self.events() if event.action == action]

    def until(self, what, why="in time"):
        end = time.monotonic() + 30
        while not (answer := what()):
            self.assertLess(time.monotonic(), end, f"not {why}")
            time.sleep(0.01)
        return answer


class ExecTest(AccessCase):
    def exec(self, *command, status=200, **body):
        return self.ok("POST", f"{self.place}/web/exec", status, by="max", body={"command": command, **body})

    def test_output_and_exit_code(self):
        ran = self.exec("sh", "-c", "echo out; echo err >&2; exit 3")
        wanted = {"exit_code": 3, "stdout": "out\n", "stderr": "err\n", "truncated": False, "ended": True}
        self.assertEqual(wanted, ran)
        self.assertEqual("secret\n", self.exec("cat", stdin="secret\n")["stdout"])

    def test_the_event_tells_who_and_the_first_word(self):
        self.exec("/bin/sh", "-c", "echo hunter2", stdin="hunter3")
        (event,) = self.told("instance.exec")
        self.assertEqual(("max", "web"), (event.actor.name, event.target.name))
        wanted = {"backend": "east", "program": "sh", "arguments": 2, "stdin": True, "tty": False}
        self.assertEqual(wanted, event.detail)
        stored = b"".join(self.raw().values())
        for word in (b"hunter2", b"hunter3"):
            self.assertNotIn(word, stored)

    def test_too_much_output_is_cut_off(self):
        self.conf.set_override("exec_output", 1024, "live")
        ran = self.exec("cat", stdin="x" * 5000)
        self.assertEqual((1024, True, 0), (len(ran["stdout"]), ran["truncated"], ran["exit_code"]))

    def test_what_takes_too_long_is_left_to_itself(self):
        ran = self.exec("sh", "-c", "echo begun; sleep 60", timeout=0.3)
        self.assertEqual((None, False, "begun\n"), (ran["exit_code"], ran["ended"], ran["stdout"]))

    def test_bad_requests(self):
        path = f"{self.place}/web/exec"
        for body, pointer in (
            ({"command": []}, "/command"),
            ({}, "/command"),
            ({"command": ["sh"], "timeout": 61}, "/timeout"),
            ({"command": ["sh"], "timeout": 0}, "/timeout"),
            ({"command": ["a\0"]}, "/command/0"),
            ({"command": ["sh"], "stdin": 5}, "/stdin"),
        ):
            self.refused(400, "POST", path, pointer=pointer, by="max", body=body)

    def test_what_does_not_run_cannot_be_entered(self):
        self.post(name="new")
        self.post(name="plain", backend="bare")
        body = {"command": ["true"]}
        for name, code in (("new", "resource.wrong_state"), ("plain", "backend.unsupported")):
            self.refused(409, "POST", f"{self.place}/{name}/exec", f"apisvc.{code}", body=body)
        self.refused(404, "POST", f"{self.place}/none/exec", body=body)

    def test_what_the_backend_refuses_is_still_an_event(self):
        body = {"command": ["no-such-program"]}
        answer = self.call("POST", f"{self.place}/web/exec", by="max", body=body)
        self.assertEqual((404, True), (answer.status_code, "no-such-program" in answer.text))
        self.drivers["east"].end(self.ok("GET", f"{self.place}/web")["id"])
        answer = self.call("POST", f"{self.place}/web/exec", by="max", body={"command": ["true"]})
        self.assertEqual((409, "apisvc.resource.wrong_state"), (answer.status_code, answer.json["code"]))
        self.script.outage()
        answer = self.call("POST", f"{self.place}/web/exec", by="max", body={"command": ["true"]})
        self.assertEqual((503, "apisvc.backend.unavailable"), (answer.status_code, answer.json["code"]))
        self.assertEqual(3, len(self.told("instance.exec")))

    def test_in_a_disabled_tenant_or_on_a_disabled_backend(self):
        self.ok("PATCH", "/admin/backends/east", body={"state": "disabled"})
        self.refused(503, "POST", f"{self.place}/web/exec", body={"command": ["true"]})
        self.ok("PATCH", "/admin/backends/east", body={"state": "enabled"})
        self.ok("PATCH", "/admin/tenants/blue", body={"state": "disabled"})
        self.refused(409, "POST", f"{self.place}/web/exec", body={"command": ["true"]})

    def test_it_counts_as_an_open_stream_of_the_tenant(self):
        self.conf.set_override("max_streams_per_tenant", 1, "api")
        self.restart()
        begun = threading.Event()
        real = self.drivers["east"].exec

        def slow(*args, **kw):
            begun.set()
            return real(*args, **kw)

        self.drivers["east"].exec = slow
        running = threading.Thread(target=self.exec, args=("sleep", "2"))
        running.start()
        begun.wait(10)
        self.refused(429, "POST", f"{self.place}/web/exec", body={"command": ["true"]})
        running.join(30)
        self.assertEqual(0, self.exec("true")["exit_code"])

    def test_a_terminal_that_comes_too_late_is_closed(self):
        closed = threading.Event()
        late = fake.FakeDriver.exec(
            self.drivers["east"],
            self.ok("GET", f"{self.place}/web")["id"],
            self.blue.id,
            compute.ExecRequest(["sleep", "60"]),
            deadline=time.monotonic() + 10,
        )
        late.close = closed.set
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def exec(*args, **kw):
            go_on.wait(30)
            return late

        self.drivers["east"].exec = exec
        self.services.live._timeout = 0.05
        answer = self.call("POST", f"{self.place}/web/exec", body={"command": ["true"]})
        self.assertEqual(503, answer.status_code)
        self.assertFalse(closed.is_set())
        go_on.set()
        self.assertTrue(closed.wait(30))


class ConsoleTest(AccessCase):
    def test_the_url_is_told_and_kept_nowhere(self):
        answer = self.call("POST", f"{self.place}/web/console", by="max")
        self.assertEqual(("novnc", "no-store"), (answer.json["kind"], answer.headers["cache-control"]))
        self.assertIn("token=", answer.json["url"])
        (event,) = self.told("instance.console")
        self.assertEqual({"backend": "east"}, event.detail)
        token = answer.json["url"].rpartition("=")[2]
        self.assertNotIn(token.encode(), b"".join(self.raw().values()))

    def test_who_has_none(self):
        self.post(name="plain", backend="bare")
        self.refused(409, "POST", f"{self.place}/plain/console", "apisvc.backend.unsupported")
        self.drivers["east"].end(self.ok("GET", f"{self.place}/web")["id"])
        answer = self.call("POST", f"{self.place}/web/console")
        self.assertEqual((409, "apisvc.resource.wrong_state"), (answer.status_code, answer.json["code"]))


class CredentialTest(AccessCase):
    place_of = "/tenants/blue/backends/east/credentials"

    def issue(self, by="max", **body):
        return self.ok("POST", self.place_of, 201, by=by, body=body)

    def ids(self):
        return {one["id"] for one in self.ok("GET", self.place_of, by="ria")["credentials"]}

    def test_shown_once_listed_revoked(self):
        answer = self.call("POST", self.place_of, by="max", body={"seconds": 120})
        made = answer.json
        self.assertEqual((201, "no-store"), (answer.status_code, answer.headers["cache-control"]))
        self.assertEqual(f"/v1{self.place_of}/{made['id']}", answer.headers["location"])
        password = made["content"].rpartition("password: ")[2].strip()
        self.assertTrue(password)
        for path in (self.place_of, f"{self.place_of}/{made['id']}"):
            self.assertNotIn("content", self.call("GET", path, by="ria").text)
        self.assertNotIn(password.encode(), b"".join(self.raw().values()))
        self.assertEqual({made["id"]}, self.ids())
        for _ in range(2):
            self.ok("DELETE", f"{self.place_of}/{made['id'].upper()}", 204, by="max")
        self.assertEqual(set(), self.ids())
        self.refused(404, "GET", f"{self.place_of}/{made['id']}")

    def test_each_issue_and_revoke_is_an_event(self):
        made = self.issue(seconds=120)
        self.ok("DELETE", f"{self.place_of}/{made['id']}", 204, by="mia")
        (issued,), (revoked,) = self.told("credential.create"), self.told("credential.delete")
        self.assertEqual({"backend": "east", "role": "member", "seconds": 120}, issued.detail)
        self.assertEqual((made["id"], "max"), (issued.target.id, issued.actor.name))
        self.assertEqual((made["id"], "mia"), (revoked.target.id, revoked.actor.name))
        self.assertEqual(self.blue.id, revoked.tenant_id)

    def test_it_has_the_role_that_the_caller_has_there(self):
        self.login_as("mia-member", self.users["mia"], tokens.Grant(role=instances_case.accounts.MEMBER))
        for by, role in (
            ("max", "member"),
            ("mia", "manager"),
            ("mia-member", "member"),
            ("root", "manager"),
        ):
            self.assertIn(f"role: {role}\n", self.issue(by)["content"], by)

    def test_lifetimes(self):
        self.conf.set_override("credential_lifetime", 600, "live")
        self.conf.set_override("credential_max_lifetime", 900, "live")
        made, now = self.issue(), time.time()
        facts = self.drivers["east"].cloud.facts("credential")
        self.assertLess(abs(facts[made["id"]]["expires_at"] - now - 600), 100)
        self.issue(seconds=900)
        for seconds in (901, 0):
            self.refused(400, "POST", self.place_of, pointer="/seconds", by="max", body={"seconds": seconds})

    def test_expired_ones_are_not_listed(self):
        made = self.issue(seconds=60)
        cloud = self.drivers["east"].cloud
        cloud.state("credential", made["id"], {**cloud.facts("credential")[made["id"]], "expires_at": 1.0})
        self.assertEqual(set(), self.ids())
        self.issue()
        self.assertNotIn(made["id"], cloud.facts("credential"))

    def test_of_another_tenant_they_are_neither_seen_nor_revoked(self):
        made = self.issue()
        foreign = self.place_of.replace("blue", "red")
        self.assertEqual([], self.ok("GET", foreign, by="rob")["credentials"])
        self.ok("DELETE", f"{foreign}/{made['id']}", 204, by="rob")
        self.assertEqual({made["id"]}, self.ids())

    def test_where_there_are_none(self):
        self.refused(404, "POST", self.place_of.replace("east", "north"), by="max", body={})
        self.refused(409, "POST", self.place_of.replace("east", "bare"), by="max", body={})
        self.refused(404, "DELETE", f"{self.place_of}/kubeconfig", by="max")
        self.ok("PATCH", "/admin/backends/west", body={"tenants": [self.red.id]})
        told = [
            self.refused(404, "GET", self.place_of.replace("east", name), by="max")["detail"].replace(
                name, "x"
            )
            for name in ("west", "north")
        ]
        self.assertEqual(told[0], told[1])
        self.ok("PATCH", "/admin/tenants/blue", body={"state": "disabled"})
        self.refused(409, "POST", self.place_of, by="max", body={})
        self.script.fail(compute.InProgress, on="ensure_tenant")
        self.ok("PATCH", "/admin/tenants/blue", body={"state": "enabled"})
        self.assertEqual(503, self.call("POST", self.place_of, by="max", body={}).status_code)
        self.issue()


class TerminalTest(AccessCase):
    """Over a real socket, through the server of apisvc-dev."""

    def setUp(self):
        super().setUp()
        self.serve()

    def serve(self):
        listening = server.bind("127.0.0.1", 0)
        listening.set_app(self.app)
        served = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        served.start()
        self.addCleanup(listening.server_close)
        self.addCleanup(listening.shutdown)
        self.url = listening.url

    def api(self, by="max"):
        api = client.Client(self.url, self.texts[by], timeout=30)
        self.addCleanup(api.close)
        return api

    def open(self, *command, by="max", **how):
        terminal = self.api(by).instances.connect("blue", "web", command, **how)
        self.addCleanup(terminal.close)
        return terminal

    def metric(self, why):
        text = self.client.simulate_get("/metrics").text
        return f'apisvc_terminals_total{{why="{why}"}}' in text

    def no_streams(self):
        return "apisvc_open_streams 0.0" in self.client.simulate_get("/metrics").text

    def test_output_and_exit_code(self):
        terminal = self.open("sh", "-c", "echo out; echo err >&2; exit 3")
        said = {1: b"", 2: b""}
        for stream, data in terminal:
            said[stream] += data
        self.assertEqual(({1: b"out\n", 2: b"err\n"}, 3), (said, terminal.exit_code))
        self.until(lambda: self.metric("exited") and self.no_streams())
        (event,) = self.told("instance.exec")
        self.assertEqual(("sh", "max"), (event.detail["program"], event.actor.name))

    def test_input_to_its_end(self):
        terminal = self.open("cat", stdin=True)
        text = b"".join(bytes([n % 251]) for n in range(300_000))
        feeder = threading.Thread(target=lambda: [terminal.write(text), terminal.end_input()])
        feeder.start()
        self.assertEqual(text, b"".join(data for _, data in terminal))
        feeder.join(30)
        self.assertEqual(0, terminal.exit_code)

    def test_a_window(self):
        terminal = self.open("sh", "-c", "cat; stty size", stdin=True, tty=True)
        terminal.resize(101, 37)
        terminal.end_input()
        self.assertEqual(b"37 101\n", b"".join(data for _, data in terminal))

    def test_the_client_goes_away(self):
        closed = self.closing()
        terminal = self.open("cat", stdin=True)
        self.until(lambda: not self.no_streams())
        terminal.close()
        self.assertTrue(closed.wait(30))
        self.until(lambda: self.metric("gone") and self.no_streams())

    def test_the_client_is_cut_off(self):
        closed = self.closing()
        terminal = self.open("cat", stdin=True)
        terminal._connection.socket.shutdown(2)
        self.assertTrue(closed.wait(30))
        self.until(lambda: self.metric("gone") and self.no_streams())

    def closing(self):
        """Set when the program that is opened next is let go of."""
        closed = threading.Event()
        real = self.drivers["east"].exec

        def exec(*args, **kw):
            terminal = real(*args, **kw)
            close, terminal.close = terminal.close, lambda: [close(), closed.set()]
            return terminal

        self.drivers["east"].exec = exec
        return closed

    def ended(self, terminal):
        """The error with which the service ends it."""
        return self.assertRaises(client.ApiError, list, terminal)

    def test_idle_and_longest(self):
        for option, why in (("terminal_idle", "idle"), ("terminal_longest", "longest")):
            with self.subTest(option):
                self.conf.set_override(option, 1.0, "live")
                self.restart()
                self.serve()
                error = self.ended(self.open("cat", stdin=True))
                self.assertEqual("apisvc.session.ended", error.code)
                self.until(lambda why=why: self.metric(why) and self.no_streams())
                self.conf.clear_override(option, "live")

    def test_who_is_not_let_in_any_more_is_shown_out(self):
        self.login_as("guest", self.users["max"], tokens.Grant())
        terminal = self.open("cat", by="guest", stdin=True)
        listed = self.ok("GET", "/user/tokens", by="max")["tokens"]
        guest = listed[-1]["id"]
        self.services.tokens.delete(self.context(), self.users["max"].id, guest)
        self.assertEqual("apisvc.policy.denied", self.ended(terminal).code)
        self.until(lambda: self.metric("denied") and self.no_streams())

    def test_a_backend_that_breaks_off(self):
        real = self.drivers["east"].exec

        def exec(*args, **kw):
            terminal = real(*args, **kw)

            def read(timeout):
                raise compute.Unavailable("The cable is cut.")

            terminal.read = read
            return terminal

        self.drivers["east"].exec = exec
        error = self.ended(self.open("cat", stdin=True))
        self.assertEqual("apisvc.backend.unavailable", error.code)
        self.assertIn("The cable is cut.", error.detail)

    def test_refusals_come_before_the_upgrade(self):
        self.assertRaises(client.NotFound, self.open, "no-such-program")
        self.assertRaises(client.NotFound, self.open, "sh", by="rob")
        self.assertRaises(client.Forbidden, self.open, "sh", by="ria")
        self.assertRaises(client.InvalidRequest, self.open, "a\0b")
        self.assertRaises(client.InvalidRequest, self.api().instances.connect, "blue", "web", [])
        api = client.Client(self.url, "apisvc_wrong")
        self.assertRaises(client.Unauthenticated, api.instances.connect, "blue", "web", ["sh"])
        self.until(self.no_streams)

    def test_they_count_as_open_streams(self):
        self.conf.set_override("max_streams_per_tenant", 2, "api")
        self.restart()
        self.serve()
        kept = [self.open("cat", stdin=True) for _ in range(2)]
        self.assertRaises(client.TooManyRequests, self.open, "cat", stdin=True)
        self.assertEqual(2, len(self.told("instance.exec")))
        for terminal in kept:
            terminal.close()
        self.until(self.no_streams)
        self.open("true")

    @contextlib.contextmanager
    def connected(self, **more):
        """A WebSocket as another client might open it."""
        url = self.url.replace("http", "ws") + "/v1/tenants/blue/instances/web/exec?command=cat&stdin=true"
        offered = {"subprotocols": [terminals.SUBPROTOCOL], **more}
        headers = {"X-Auth-Token": self.texts["max"]}
        with sync_client.connect(url, additional_headers=headers, **offered) as connection:
            yield connection

    def test_other_clients(self):
        with self.connected() as connection:
            connection.send(b"\0hello")
            self.assertEqual(b"\1hello", connection.recv(10))
            connection.ping().wait(10)
            connection.send([b"\0fr", b"agm", b"ents"])  # one message
            self.assertEqual(b"\1fragments", connection.recv(10))
            connection.send(b"\0")
            self.assertEqual({"exit_code": 0}, json.loads(connection.recv(10)[1:]))
            self.assertRaises(websockets.ConnectionClosedOK, connection.recv, 10)

    def test_what_is_not_of_the_protocol_closes_it(self):
        for message in (b"", b"\x07what", b"\4{}", b'\4{"columns": 0, "rows": 1}', b"\0" + b"x" * 70_000):
            with self.subTest(message[:20]), self.connected() as connection:
                connection.send(message)
                error = self.assertRaises(websockets.ConnectionClosed, connection.recv, 10)
                self.assertIn(error.rcvd.code, (1008, 1009))
        self.until(self.no_streams)

    def test_a_subprotocol_is_needed(self):
        for offered in (None, ["v9.exec.example"]):
            with contextlib.ExitStack() as stack:
                error = self.assertRaises(
                    websockets.InvalidStatus, stack.enter_context, self.connected(subprotocols=offered)
                )
            self.assertEqual(400, error.response.status_code)
            self.assertIn(b"v1.exec.apisvc", error.response.body)

    def test_a_plain_get_over_the_wire_is_told_too(self):
        request = urllib.request.Request(
            f"{self.url}/v1/tenants/blue/instances/web/exec", headers={"X-Auth-Token": self.texts["max"]}
        )
        error = self.assertRaises(urllib.error.HTTPError, urllib.request.urlopen, request, timeout=30)
        self.addCleanup(error.close)
        self.assertEqual((426, "websocket"), (error.code, error.headers["Upgrade"]))
        self.assertIn(b"v1.exec.apisvc", error.read())

    def test_a_plain_get_is_told_what_this_is(self):
        answer = self.call("GET", f"{self.place}/web/exec", by="max")
        self.assertEqual((426, "websocket"), (answer.status_code, answer.headers["upgrade"]))
        self.assertEqual("apisvc.request.upgrade_required", answer.json["code"])
        self.assertEqual(426, self.call("HEAD", f"{self.place}/web/exec", by="max").status_code)
