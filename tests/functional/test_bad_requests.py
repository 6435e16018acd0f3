"""What must never be a 5xx, sent as raw bytes to a real gunicorn."""

import contextlib
import json
import socket

import testtools

from tests.functional import deployment

BODIES: dict[str, bytes] = {
    "not JSON": b"{name: clock}",
    "cut off": b'{"image": "host", ',
    "empty": b"",
    "not UTF-8": b'{"image": "\xff\xfe", "flavor": "tiny"}',
    "UTF-16": json.dumps({"image": "host", "flavor": "tiny"}).encode("utf-16"),
    "too large": b'{"description": "' + b"x" * 400_000 + b'"}',
    "too deep": b"[" * 100_000 + b"]" * 100_000,
    "a little too deep": b'{"labels": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    "a list": b"[]",
    "a string": b'"instance"',
    "null": b"null",
    "wrong type": b'{"image": 5, "flavor": "tiny"}',
    "wrong inner type": b'{"image": "host", "flavor": "tiny", "env": {"A": 1}}',
    "unknown field": b'{"image": "host", "flavor": "tiny", "colour": "red"}',
    "duplicate field": b'{"image": "host", "image": "other", "flavor": "tiny"}',
    "inner duplicate field": b'{"image": "host", "flavor": "tiny", "env": {"A": "1", "A": "2"}}',
    "NUL": b'{"image": "host\\u0000", "flavor": "tiny"}',
    "NUL in a key": b'{"image": "host", "flavor": "tiny", "env": {"A\\u0000": "1"}}',
    "huge number": b'{"image": "host", "flavor": "tiny", "ports": [1' + b"0" * 400 + b"]}",
    "huge exponent": b'{"image": "host", "flavor": "tiny", "ports": [1e400]}',
    "very long number": b'{"image": "host", "flavor": "tiny", "ports": [1' + b"0" * 10_000 + b"]}",
    "NaN": b'{"image": "host", "flavor": "tiny", "ports": [NaN]}',
    "lone surrogate": b'{"image": "host", "flavor": "tiny", "description": "\\ud800"}',
    "lone surrogate in a key": b'{"image": "host", "flavor": "tiny", "labels": {"\\udfff": "x"}}',
    "a path as image": b'{"image": "../../etc/passwd", "flavor": "tiny"}',
    "no such flavor": b'{"image": "host", "flavor": "enormous"}',
    "a bad name": b'{"image": "host", "flavor": "tiny", "name": "../x"}',
}
NEEDS_POINTER = {
    "wrong type",
    "wrong inner type",
    "unknown field",
    "duplicate field",
    "inner duplicate field",
    "NUL",
    "NUL in a key",
    "lone surrogate",
    "lone surrogate in a key",
    "a bad name",
    "huge number",
}

PATHS = [
    "/v1/tenants/acme/instances/..%2f..%2fetc%2fpasswd",
    "/v1/tenants/acme/instances/%00",
    "/v1/tenants/acme/instances/%ff%fe",
    "/v1/tenants/acme/instances/" + "x" * 3000,
    "/v1/tenants/acme/instances/%ed%a0%80",
    "/v1/tenants/%2e%2e/instances",
    "/v1/tenants/acme/instances?limit=0",
    "/v1/tenants/acme/instances?limit=-1",
    "/v1/tenants/acme/instances?limit=1e400",
    "/v1/tenants/acme/instances?limit=ten",
    "/v1/tenants/acme/instances?marker=%00",
    "/v1/tenants/acme/instances?marker=..%2f..%2f",
    "/v1/tenants/acme/instances?marker=%ff",
    "/v1/tenants/acme/instances?unknown=1",
    "/v1/tenants/acme/instances?limit=1&limit=2",
    "/v1/tenants/acme/events?after=banana&follow=true",
    "/v1/tenants/acme/events?after=-1&follow=true",
    "/v1/tenants/acme/events?after=99999999999999999999999&follow=true",
    "/v1/nowhere",
]


class BadRequestTest(testtools.TestCase):
    site: deployment.Deployment

    @classmethod
    def setUpClass(cls) -> None:
        """One for all: nothing that is sent here may leave a trace."""
        super().setUpClass()
        cls.site = deployment.Deployment()
        cls.addClassCleanup(cls.site.cleanUp)
        cls.site.setUp()
        cls.site.start_api()
        cls.site.catalogue()

    def raw(
        self, method: str, path: str, body: bytes | None, *headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request as exact bytes; no client library tidies it up."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: test",
            f"X-Auth-Token: {self.site.token}",
            "Connection: close",
        ]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        with socket.create_connection(("127.0.0.1", self.site.port), timeout=60) as connection:
            # Answered before it had read all: the answer is still there.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + (body or b""))
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
        head, _, content = data.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        return int(status.split()[1]), dict(f.lower().split(": ", 1) for f in fields), content

    def assert_problem(
        self, what: str, status: int, headers: dict[str, str], content: bytes
    ) -> dict[str, object]:
        self.assertTrue(400 <= status < 500, f"{what}: {status} {content[:500]!r}")
        self.assertEqual("application/problem+json", headers["content-type"].split(";")[0], what)
        problem = json.loads(content)
        self.assertEqual(status, problem["status"], what)
        self.assertTrue(problem["code"].startswith("apisvc."), what)
        self.assertTrue(problem["request_id"], what)
        return problem

    def test_bodies(self) -> None:
        before = self.site.call("GET", "/v1/admin/events?limit=1000").json()["events"]
        for what, body in BODIES.items():
            problem = self.assert_problem(what, *self.raw("POST", "/v1/tenants/acme/instances", body))
            if what in NEEDS_POINTER:
                self.assertTrue(
                    problem["errors"] and problem["errors"][0]["pointer"].startswith("/"), (what, problem)
                )
        self.assertEqual([], self.site.instances())
        self.assertEqual(before, self.site.call("GET", "/v1/admin/events?limit=1000").json()["events"])

    def test_chunked_body_beyond_the_limit(self) -> None:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        answer = self.raw(
            "POST",
            "/v1/tenants/acme/instances",
            None,
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
            "",
            (chunk * 8 + b"0\r\n\r\n").decode(),
        )
        self.assert_problem("chunked", *answer)

    def test_paths_and_queries(self) -> None:
        for path in PATHS:
            self.assert_problem(path, *self.raw("GET", path, None))

    def test_headers(self) -> None:
        path = "/v1/tenants/acme/instances"
        body = b'{"image": "host", "flavor": "tiny"}'
        for header in (
            "Idempotency-Key: " + "k" * 5000,
            "OpenStack-API-Version: apisvc 9.9",
            "OpenStack-API-Version: apisvc banana",
        ):
            self.assert_problem(header, *self.raw("POST", path, body, header))
        self.assertEqual([], self.site.instances())

    def test_a_method_that_is_not_there_says_what_is(self) -> None:
        status, headers, content = self.raw("PUT", "/v1/tenants/acme/instances", b"{}")
        self.assert_problem("PUT", status, headers, content)
        self.assertEqual(405, status)
        self.assertIn("post", headers["allow"])
