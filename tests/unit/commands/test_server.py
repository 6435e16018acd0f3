"""The small server of apisvc-dev: what it cannot listen on is one line."""

import socket
import threading
import urllib.request

import testtools

from apisvc import errors
from apisvc.commands import server


class TestBind(testtools.TestCase):
    def refused(self, host: str, port: int) -> str:
        return str(self.assertRaises(errors.StartError, server.bind, host, port))

    def test_a_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.assertIn(f"port {port} on 127.0.0.1 is in use", self.refused("127.0.0.1", port))

    def test_addresses_that_are_none(self) -> None:
        self.assertIn("cannot listen on 192.0.2.1", self.refused("192.0.2.1", 0))
        self.assertIn("cannot listen on no.such.invalid", self.refused("no.such.invalid", 0))
        self.assertIn("port 70000", self.refused("127.0.0.1", 70000))

    def test_it_serves(self) -> None:
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [environ["SERVER_NAME"].encode()]

        with server.bind("127.0.0.1", 0) as listening:
            listening.set_app(application)
            thread = threading.Thread(target=listening.serve_forever)
            thread.start()
            self.addCleanup(thread.join)
            self.addCleanup(listening.shutdown)
            with urllib.request.urlopen(listening.url, timeout=10) as answer:
                self.assertEqual(b"127.0.0.1", answer.read())
            listening.shutdown()

    def test_loopback(self) -> None:
        for address in ("127.0.0.1", "127.8.8.8", "::1", "/run/apisvc.sock", ""):
            self.assertTrue(server.is_loopback(address), address)
        for address in ("0.0.0.0", "::", "192.0.2.7", "fe80::1%eth0"):
            self.assertFalse(server.is_loopback(address), address)
