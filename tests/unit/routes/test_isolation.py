"""Every operation, from the table, by every kind of caller: who comes in, and that nothing foreign comes out."""

import re

from apisvc.routes.v1 import admin, tenant, user
from apisvc.service import tokens
from tests.unit.routes import accounts, instances_case

#: Callers whose credential is good for nothing.
DEAD = ("nobody", "garbage", "disabled", "expired", "revoked", "deleted")
#: Live callers to whom the tenant ``blue`` is not there.
OUTSIDE = ("rob", "out", "two-red", "root-plain", "left")
#: The callers inside, and up to which role they act.
INSIDE = {"ria": 1, "mia-reader": 1, "max": 2, "mia": 3}
ALIVE = (*OUTSIDE, *INSIDE, "root")


class Isolation(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        self.operations = [op for package in packages for op in package.operations()]
        self.people()
        web = self.post(name="web", labels={"secret-of": "blue-people"}, secret_env={"PASSWORD": "hunter2"})
        self.run_it(web)
        credential = self.ok("POST", "/tenants/blue/backends/east/credentials", 201, by="mia", body={})
        token = self.login_as("other", self.users["mia"], tokens.Grant(tenant="blue"))
        self.names = {
            "tenant": "blue",
            "instance": "web",
            "user": "mia",
            "token": token.id,
            "flavor": "small",
            "image": "host",
            "backend": "east",
            "credential": credential["id"],
            "node": "fake-node",
        }
        self.ids = {
            **self.names,
            "tenant": self.blue.id,
            "instance": web["id"],
            "user": self.users["mia"].id,
        }

    def people(self):
        """Those of the tables above who are not there yet."""
        for name in ("dis", "del", "two", "left"):
            self.add(name)
            self.member(self.blue, self.users[name], accounts.MANAGER)
        self.member(self.red, self.users["two"], accounts.MANAGER)
        self.login_as("two-red", self.users["two"], tokens.Grant(tenant="red"))
        self.login_as("mia-reader", self.users["mia"], tokens.Grant(role=accounts.READER))
        self.login_as("root-plain", self.users["root"], tokens.Grant())
        self.texts.update(disabled=self.texts["dis"], deleted=self.texts["del"], garbage="apisvc_garbage")
        revoked = self.login_as("revoked", self.users["mia"], tokens.Grant())
        self.login_as("expired", self.users["mia"], tokens.Grant(lifetime=60))
        self.ok("PATCH", "/admin/users/dis", body={"enabled": False})
        self.ok("DELETE", "/admin/users/del", 204)
        self.services.tokens.delete(self.context(), self.users["mia"].id, revoked.id)
        self.ok("DELETE", "/tenants/blue/members/left", 204, by="mia")
        self.clock.at += 61

    def send(self, op, caller, names):
        """The answer; of a write that is let in, 400: it brings what no operation takes, and changes nothing."""
        path = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], op.path).removeprefix("/v1")
        body = None if op.method == "GET" else {"nonsense": 1}
        return path, self.call(op.method, path, by=None if caller == "nobody" else caller, body=body)

    def expected(self, op, caller):
        """The status that the design gives."""
        let_in = 426 if op.websocket else 200 if op.method == "GET" else 400
        if caller in DEAD:
            return 401
        if caller == "root":
            return let_in if op.id != "own_show_token" else 404
        if op.path.startswith("/v1/admin/"):
            return 403
        if not op.in_tenant:
            return 404 if op.id == "own_show_token" and caller not in ("mia", "mia-reader") else let_in
        if caller in OUTSIDE:
            return 404
        needed = 1 if op.method == "GET" and not op.websocket else 3 if "member" in op.id else 2
        return let_in if INSIDE[caller] >= needed else 403

    def test_who_comes_in(self):
        before = self.raw()
        for op in self.operations:
            for caller in (*DEAD, *ALIVE):
                for names in (self.names, self.ids):
                    _, answer = self.send(op, caller, names)
                    wanted = self.expected(op, caller)
                    self.assertEqual(wanted, answer.status_code, (op.id, caller, answer.text))
        self.assertEqual(before, self.raw())

    def test_nothing_foreign_comes_out(self):
        people = [self.users[name].id for name in ("mia", "max", "ria")]
        foreign = {"hunter2", "blue", "web", "blue-people", "mia", "max", "ria", *people}
        foreign |= {self.ids[own] for own in ("tenant", "instance", "token", "credential")}
        at_home = {**self.names, "tenant": "red", "user": "rob"}
        for op in self.operations:
            for caller in (*DEAD, *OUTSIDE):
                for names in (self.names, self.ids, at_home):
                    path, answer = self.send(op, caller, names)
                    told = f"{answer.text} {dict(answer.headers)}"
                    found = [
                        word
                        for word in foreign
                        # What the caller itself said may be said again.
                        if word not in path and re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", told)
                    ]
                    self.assertEqual([], found, (op.id, caller, path, told))

    def test_a_tenant_of_others_is_like_none(self):
        for op in self.operations:
            if op.in_tenant:
                for caller in OUTSIDE:
                    told = []
                    for name in ("blue", "none"):
                        _, answer = self.send(op, caller, {**self.names, "tenant": name})
                        problem = {**answer.json, "request_id": None}
                        told.append(
                            (answer.status_code, str(problem).replace(name, "x"), len(answer.headers))
                        )
                    self.assertEqual(told[0], told[1], (op.id, caller))

    def test_metrics_name_no_tenant(self):
        self.ok("GET", f"{self.place}/web", by="max")
        text = self.client.simulate_get("/metrics").text
        self.assertIn("show_instance", text)
        for word in ("blue", self.blue.id, self.users["max"].id, "web", self.ids["instance"]):
            self.assertNotIn(f'"{word}"', text)
