"""Tokens and secret environments: shown where they must be, and nowhere else."""

import json
import logging

import fixtures

from apisvc.service import tokens
from tests.unit.routes import instances_case

SECRET = "zz-top-secret-42"


class Secrets(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.told = []

    def say(self, method, path, by="max", raw=None, **kw):
        """Call, and remember all that was answered."""
        headers = {name.replace("_", "-"): value for name, value in kw.pop("headers", {}).items()}
        body = kw.get("body")
        answer = self.client.simulate_request(
            method,
            f"/v1{path}",
            headers={"X-Auth-Token": self.texts[by], "Content-Type": "application/json", **headers},
            body=raw if raw is not None else None if body is None else json.dumps(body),
        )
        self.told.append(f"{answer.text} {dict(answer.headers)}")
        return answer

    def everywhere(self):
        """All that anybody can read: answers, the log, the store, the metrics."""
        stored = [f"{key} {value.decode('latin-1')}" for key, value in self.raw().items()]
        return "\n".join([*self.told, self.log.output, *stored, self.client.simulate_get("/metrics").text])

    def test_secret_environments(self):
        good = {"image": "host", "flavor": "small", "name": "web", "secret_env": {"PASSWORD": SECRET}}
        key = {"Idempotency-Key": "k"}
        made = self.say("POST", self.place, body=good, headers=key)
        self.assertEqual(202, made.status_code, made.text)
        self.assertEqual(202, self.say("POST", self.place, body=good, headers=key).status_code)
        changed = {"secret_env": {"PASSWORD": f"{SECRET}-2"}}
        self.assertEqual(202, self.say("PATCH", f"{self.place}/web", body=changed).status_code)
        for wrong in ([SECRET], {"A B": SECRET}, {"A": [SECRET]}, {"A": SECRET + "\0"}, SECRET):
            bad = {**good, "name": "bad", "secret_env": wrong}
            self.assertEqual(400, self.say("POST", self.place, body=bad).status_code, wrong)
        for raw in (json.dumps(good)[:-1], json.dumps(good).encode("utf-16")):
            self.assertEqual(400, self.say("POST", self.place, raw=raw).status_code)
        for path in ("", "/web", "/web/events"):
            self.assertEqual(200, self.say("GET", self.place + path).status_code)
        self.say("GET", "/tenants/blue/events")
        self.assertNotIn(SECRET, self.everywhere())

    def test_tokens(self):
        made = self.say("POST", "/user/tokens", by="mia", body={}, headers={"Idempotency-Key": "k"})
        text = json.loads(self.told.pop().partition(" {'")[0])["token"]
        self.texts["new"] = text
        self.assertEqual(200, self.say("GET", "/user", by="new").status_code)
        self.assertEqual(400, self.say("GET", f"/user?token={text}", by="new").status_code)
        for path in (
            "/user/tokens",
            f"/user/tokens/{made.json['id']}",
            "/user/events",
            "/tenants/blue/events",
        ):
            self.assertEqual(200, self.say("GET", path, by="mia").status_code)
        self.login_as("spoiled", self.users["mia"], tokens.Grant())
        spoiled = self.texts["spoiled"][:-1]
        self.texts["spoiled"] = spoiled
        self.assertEqual(401, self.say("GET", "/user", by="spoiled").status_code)
        # The owner is shown the first letters, to tell tokens apart.
        for secret in (text[12:], spoiled[12:]):
            self.assertNotIn(secret, self.everywhere())
