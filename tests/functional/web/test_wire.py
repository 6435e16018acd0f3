"""What only a real server shows: chunked bodies, clients that go away, numbers of several processes."""

import json
import socket

from tests.functional import deployment
from tests.functional.commands import test_gunicorn

INSTANCES = "/v1/tenants/own/instances"


class Wire(test_gunicorn.TestCase):
    def setUp(self) -> None:
        super().setUp()
        (self.folder / "numbers").mkdir()
        self.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder / "numbers")
        self.token = self.deploy()
        self.gunicorn("apisvc.main:app", "--worker-class=gthread", "--threads=4")
        self.assertEqual(201, self.get("/v1/admin/tenants", self.token, {"name": "own"})[0])

    def open(self, method: str, path: str, headers: str = "", body: bytes = b"") -> socket.socket:
        """A connection on which a request has been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), 30)
        self.addCleanup(connection.close)
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"X-Auth-Token: {self.token}"]
        lines += [headers] if headers else []
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return connection

    def post(self, headers: str, body: bytes) -> tuple[int, dict]:
        """Status and document of the answer to a body as it stands."""
        with self.open("POST", INSTANCES, headers, body).makefile("rb") as answer:
            status, length = int(answer.readline().split()[1]), 0
            while line := answer.readline().strip().lower():
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return status, json.loads(answer.read(length))

    def streams(self) -> float:
        """How many are open, as the metrics say."""
        with self.open("GET", "/metrics", "Connection: close").makefile("rb") as answer:
            (line,) = [line for line in answer if line.startswith(b"apisvc_open_streams ")]
        return float(line.split()[1])

    def test_bodies_in_chunks(self) -> None:
        chunked = "Transfer-Encoding: chunked"
        status, found = self.post(chunked, b'6\r\n{"x": \r\n2\r\n1}\r\n0\r\n\r\n')
        self.assertEqual((400, "/x"), (status, found["errors"][0]["pointer"]))
        self.assertEqual(400, self.post(chunked, b"ZZ\r\n{}\r\n0\r\n\r\n")[0])
        chunk = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
        self.assertEqual(413, self.post(chunked, chunk * 5 + b"0\r\n\r\n")[0])
        self.assertEqual(413, self.post("Content-Length: 999999999", b"{}")[0])

    def test_a_feed_goes_on_and_ends_with_its_client(self) -> None:
        connection = self.open("GET", "/v1/tenants/own/events?after=1", "Accept: text/event-stream")
        feed = connection.makefile("rb")
        heads = iter(feed.readline, b"\r\n")
        self.assertIn(b"content-type: text/event-stream", [line.strip().lower() for line in heads])
        deployment.wait_for(self.log, lambda: b"event: tenant.create" in feed.readline())
        deployment.wait_for(self.log, lambda: self.streams() == 1)
        feed.close()
        connection.close()
        deployment.wait_for(self.log, lambda: self.streams() == 0)
