"""Whatever is sent, the answer is a 2xx or a 4xx problem, and a refused write wrote nothing."""

import json
import urllib.parse

import hypothesis
from hypothesis import strategies

from tests.unit.web import harness

THINGS = f"/v1/tenants/{harness.TENANT}/things"

_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
_fields = strategies.sampled_from(["name", "spec", "labels", "size", "ratio", "anything", "x", "a/b", ""])
_bodies = strategies.dictionaries(_fields, _values, max_size=5)
_settings = hypothesis.settings(max_examples=150, deadline=None, database=None)


class Fuzz(harness.WebCase):
    def check(self, answer, revision):
        if answer.status_code < 300:
            return
        self.assertTrue(400 <= answer.status_code < 500, answer.text)
        found = self.problem(answer, answer.status_code)
        self.assertEqual(revision, self.store.revision())
        if answer.status_code == 400 and found["code"] == "apisvc.request.invalid":
            self.assertTrue(found["errors"], found)

    @_settings
    @hypothesis.given(strategies.binary(max_size=200))
    def test_bytes_as_bodies(self, raw):
        revision = self.store.revision()
        self.check(self.call("POST", THINGS, body=raw), revision)

    @_settings
    @hypothesis.given(_bodies)
    def test_json_as_bodies(self, value):
        revision = self.store.revision()
        self.check(self.call("POST", THINGS, body=json.dumps(value).encode()), revision)

    @_settings
    @hypothesis.given(
        strategies.binary(max_size=40), strategies.sampled_from(["limit", "marker", "label", "x"])
    )
    def test_queries(self, raw, name):
        for quoted in (urllib.parse.quote(raw), raw.decode("latin-1").replace("#", "")):
            env = {"QUERY_STRING": f"{name}={quoted}"}
            self.check(self.call("GET", THINGS, extras=env), self.store.revision())

    @_settings
    @hypothesis.given(strategies.binary(max_size=40))
    def test_ids(self, raw):
        for place in (f"{THINGS}/", "/v1/tenants/"):
            path = place.encode() + raw
            env = {"PATH_INFO": path.decode("latin-1")}
            self.check(self.call("GET", "/", extras=env), self.store.revision())

    @_settings
    @hypothesis.given(
        strategies.sampled_from(
            [
                "If-Match",
                "If-None-Match",
                "Idempotency-Key",
                "OpenStack-API-Version",
                "Accept",
                "X-Auth-Token",
            ]
        ),
        strategies.text(strategies.characters(min_codepoint=32, max_codepoint=255), max_size=40),
        strategies.sampled_from(["GET", "POST", "DELETE"]),
    )
    def test_headers(self, name, value, method):
        env = {"HTTP_" + name.upper().replace("-", "_"): value}
        answer = self.call(method, f"{THINGS}/one" if method != "POST" else THINGS, extras=env)
        self.assertTrue(answer.status_code < 500, answer.text)
