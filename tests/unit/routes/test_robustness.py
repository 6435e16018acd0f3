"""Whatever is sent to any operation, there is never a 5xx that is our fault, and a refusal wrote nothing."""

import json
import re
import urllib.parse

import hypothesis
import msgspec
from hypothesis import strategies

from apisvc.routes.v1 import admin, tenant, user
from tests.unit.routes import instances_case

_KNOWN = ("blue", "max", "small", "host", "east", "0198c5a2-7d3e-7c41-9f0a-3b5d8e2a6c11", "member", "stopped")
_SETTINGS = hypothesis.settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)


def _values(names):
    """JSON with a liking for words and fields that mean something here."""
    words = strategies.sampled_from([*_KNOWN, *names]) | strategies.text(max_size=8)
    return strategies.recursive(
        strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | words,
        lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(words, inner, max_size=4),
        max_leaves=10,
    )


class Robustness(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        self.operations = [op for package in packages for op in package.operations()]
        self.post(name="web")

    def send(self, op, path, raw=b"", query=b"", **headers):
        environ = {
            "PATH_INFO": path.decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "HTTP_X_AUTH_TOKEN": self.texts["root"],
            **headers,
        }
        before = self.raw()
        answer = self.client.simulate_request(op.method, "/", body=raw, extras=environ)
        code = answer.json["code"] if answer.status_code >= 400 else None
        # Backends may be out of reach; that is no fault of the request.
        if code != "apisvc.backend.unavailable":
            self.assertLess(answer.status_code, 500, (op.id, path, query, raw, answer.text))
        if answer.status_code >= 400:
            self.assertEqual(before, self.raw())

    def path(self, op, draw):
        names = strategies.sampled_from([*(word.encode() for word in _KNOWN), b"web"])
        pieces = draw(strategies.lists(names | strategies.binary(max_size=12), min_size=4, max_size=4))
        pieces = iter(pieces)
        return re.sub(rb"\{\w+\}", lambda _: next(pieces), op.path.encode())

    @_SETTINGS
    @hypothesis.given(strategies.data())
    def test_bodies(self, data):
        op = data.draw(strategies.sampled_from([op for op in self.operations if op.body is not None]))
        fields = [field.encode_name for field in msgspec.structs.fields(op.body)]
        body = data.draw(
            strategies.dictionaries(strategies.sampled_from([*fields, "x"]), _values(fields), max_size=6)
        )
        self.send(op, self.path(op, data.draw), json.dumps(body).encode())

    @_SETTINGS
    @hypothesis.given(strategies.data())
    def test_bytes(self, data):
        op = data.draw(strategies.sampled_from([op for op in self.operations if op.method != "GET"]))
        self.send(op, self.path(op, data.draw), data.draw(strategies.binary(max_size=60)))

    @_SETTINGS
    @hypothesis.given(strategies.data())
    def test_queries(self, data):
        reads = [op for op in self.operations if op.method == "GET" and op.query is not None]
        op = data.draw(strategies.sampled_from(reads))
        names = [field.encode_name for field in msgspec.structs.fields(op.query)]
        words = strategies.sampled_from(
            [*_KNOWN, "1", "-1", "9" * 30, "1e400", "true", "1970-01-01T00:00:00Z"]
        )
        value = words.map(str.encode) | strategies.binary(max_size=20).map(urllib.parse.quote_from_bytes).map(
            str.encode
        )
        pairs = data.draw(
            strategies.lists(strategies.tuples(strategies.sampled_from([*names, "x"]), value), max_size=4)
        )
        query = b"&".join(name.encode() + b"=" + text for name, text in pairs if name != "follow")
        self.send(op, self.path(op, data.draw), query=query)

    @_SETTINGS
    @hypothesis.given(strategies.data())
    def test_conditions(self, data):
        op = data.draw(strategies.sampled_from(self.operations))
        name = data.draw(
            strategies.sampled_from(["IF_MATCH", "IF_NONE_MATCH", "IDEMPOTENCY_KEY", "LAST_EVENT_ID"])
        )
        text = strategies.text(strategies.characters(min_codepoint=32, max_codepoint=255), max_size=20)
        value = data.draw(strategies.sampled_from(['"1"', 'W/"1"', "*", "1", '"' + "9" * 30 + '"']) | text)
        self.send(op, self.path(op, data.draw), b"{}", **{f"HTTP_{name}": value})
