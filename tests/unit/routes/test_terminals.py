"""Terminals over WebSockets, with the client's own and with others, on fake backends."""

import contextlib
import json
import threading
import urllib.error
import urllib.request

import websockets
from websockets.sync import client as sync_client

from apisvc import client
from apisvc.client import terminals
from apisvc.commands import server
from apisvc.compute import base as compute
from apisvc.service import tokens
from tests.unit.routes import access_case


class TerminalTest(access_case.AccessCase):
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
