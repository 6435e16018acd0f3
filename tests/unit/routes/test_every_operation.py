"""Every operation done once, with what it answers held to its shape. A route without its line here fails."""

import re

import msgspec

from apisvc.model import instances
from apisvc.routes.v1 import admin, tenant, user
from tests.unit.routes import instances_case

#: In this order: operation, caller, body, and what is in the path beside :data:`PLACES`.
WRITES = (
    ("admin_create_tenant", "root", {"name": "green", "labels": {"stage": "test"}}, {}),
    ("admin_update_tenant", "root", {"description": "Of nobody"}, {"tenant": "green"}),
    ("admin_update_quota", "root", {"instances": 5}, {"tenant": "green"}),
    ("admin_create_user", "root", {"name": "gus"}, {}),
    ("admin_update_user", "root", {"email": "gus@example.org"}, {"user": "gus"}),
    ("admin_put_member", "root", {"role": "member"}, {"tenant": "green", "user": "gus"}),
    ("admin_update_member", "root", {"role": "reader"}, {"tenant": "green", "user": "gus"}),
    ("admin_delete_member", "root", None, {"tenant": "green", "user": "gus"}),
    ("put_member", "mia", {"role": "member"}, {"user": "gus"}),
    ("update_member", "mia", {"role": "manager"}, {"user": "gus"}),
    ("delete_member", "mia", None, {"user": "gus"}),
    ("admin_create_token", "root", {"name": "spare"}, {"user": "gus"}),
    ("admin_delete_token", "root", None, {"user": "gus"}),
    ("own_create_token", "mia", {"lifetime": 60}, {}),
    ("own_delete_token", "mia", None, {}),
    ("admin_create_flavor", "root", {"name": "huge", "vcpus": 64, "ram_mb": 1024, "disk_gb": 10}, {}),
    ("admin_update_flavor", "root", {"description": "Too large"}, {"flavor": "huge"}),
    ("admin_delete_flavor", "root", None, {"flavor": "huge"}),
    ("admin_create_image", "root", {"name": "spare", "references": {"fake": "busybox"}}, {}),
    ("admin_update_image", "root", {"description": "For later"}, {"image": "spare"}),
    ("admin_delete_image", "root", None, {"image": "spare"}),
    ("admin_update_backend", "root", {"state": "draining", "reason": "new disks"}, {"backend": "west"}),
    ("admin_act_on_node", "root", {"action": "cordon"}, {"backend": "west"}),
    ("create_instance", "max", {"name": "job", "image": "host", "flavor": "small", "driver": "fake"}, {}),
    ("update_instance", "max", {"labels": {"stage": "test"}}, {"instance": "job"}),
    ("act_on_instance", "max", {"action": "stop"}, {"instance": "job"}),
    ("delete_instance", "max", None, {"instance": "job"}),
    ("exec_in_instance", "max", {"command": ["echo", "hello"]}, {}),
    ("open_instance_console", "max", None, {}),
    ("create_credential", "max", {"seconds": 60}, {}),
    ("delete_credential", "max", None, {}),
    ("admin_delete_user", "root", None, {"user": "gus"}),
    ("admin_delete_tenant", "root", None, {"tenant": "green"}),
)
PLACES = {
    "tenant": "blue",
    "user": "mia",
    "instance": "web",
    "flavor": "small",
    "image": "host",
    "backend": "east",
    "node": "fake-node",
}


class EveryOperation(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        self.operations = {op.id: op for package in packages for op in package.operations()}
        self.run_it(self.post(name="web"))
        self.settle("web", instances.State.ACTIVE, self.blue)

    def path(self, op, names):
        """Where it is, with ``names`` for the names in it."""
        return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], op.path).removeprefix("/v1")

    def do(self, op, by, names, body=None):
        """The answer, of the status and shape declared."""
        answer = self.call(op.method, self.path(op, names), by=by, body=body)
        self.assertIn(answer.status_code, (op.status, *op.other_answers), (op.id, answer.text))
        if op.answer is not None:
            shape = msgspec.defstruct(op.answer.__name__, [], bases=(op.answer,), forbid_unknown_fields=True)
            msgspec.convert(answer.json, shape)
        else:
            self.assertTrue(op.produces or op.streams or not answer.content, op.id)
        return answer

    def test_writes(self):
        wanted = {op.id for op in self.operations.values() if op.method != "GET"}
        self.assertEqual(wanted, {line[0] for line in WRITES})
        made = {}
        for name, by, body, place in WRITES:
            op = self.operations[name]
            answer = self.do(op, by, {**PLACES, **made, **place}, body)
            if name.endswith(("create_token", "create_credential")):
                made[op.tag.removesuffix("s")] = answer.json["id"]
            if answer.status_code in (201, 202) and op.method != "PUT":
                self.ok("GET", answer.headers["location"].removeprefix("/v1"), by=by)

    def test_reads(self):
        names = {**PLACES, "token": self.ok("GET", "/user/tokens", by="mia")["tokens"][0]["id"]}
        issued = self.ok("POST", "/tenants/blue/backends/east/credentials", 201, body={})
        names["credential"] = issued["id"]
        for op in self.operations.values():
            if op.websocket:
                answer = self.refused(426, "GET", self.path(op, names), "apisvc.request.upgrade_required")
                self.assertIn("v1.exec.apisvc", answer["subprotocols"])
            elif op.method == "GET":
                by = "mia" if op.path.startswith("/v1/user") else "root"
                answer = self.do(op, by, names)
                head = self.call("HEAD", self.path(op, names), by=by)
                self.assertEqual((answer.status_code, ""), (head.status_code, head.text), op.id)
