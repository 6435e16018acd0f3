"""Commands, consoles and credentials over HTTP, on fake backends."""

import threading
import time

from apisvc.compute import base as compute
from apisvc.compute import fake
from apisvc.service import tokens
from tests.unit.routes import access_case, accounts


class ExecTest(access_case.AccessCase):
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


class ConsoleTest(access_case.AccessCase):
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


class CredentialTest(access_case.AccessCase):
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
        self.login_as("mia-member", self.users["mia"], tokens.Grant(role=accounts.MEMBER))
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
