from apisvc.model import backends
from tests.unit.routes import instances_case


class FlavorsAndImagesTest(instances_case.InstancesCase):
    def test_created_shown_changed_deleted(self):
        for many, body, change in (
            ("flavors", {"name": "x", "vcpus": 2, "ram_mb": 64}, {"disk_gb": 7}),
            ("images", {"name": "x", "references": {"fake": "a"}}, {"references": {"fake": "b"}}),
        ):
            answer = self.call("POST", f"/admin/{many}", body=body)
            self.assertEqual(201, answer.status_code, answer.text)
            self.assertEqual(f"/v1/admin/{many}/{answer.json['id']}", answer.headers["location"])
            self.refused(409, "POST", f"/admin/{many}", "apisvc.resource.exists", body=body)
            shown = self.call("GET", f"/admin/{many}/x")
            self.assertEqual(answer.json, shown.json)
            stale = shown.headers["etag"]
            changed = self.ok("PATCH", f"/admin/{many}/x", body=change, If_Match=stale)
            self.assertEqual({**answer.json, **change}["name"], changed["name"])
            for field, value in change.items():
                self.assertEqual(value, changed[field])
            self.refused(412, "DELETE", f"/admin/{many}/x", If_Match=stale)
            self.ok("DELETE", f"/admin/{many}/x", 204)
            self.refused(404, "GET", f"/admin/{many}/x")

    def test_the_same_key_is_the_same_flavor(self):
        body = {"name": "x", "vcpus": 2, "ram_mb": 64}
        first = self.call("POST", "/admin/flavors", body=body, Idempotency_Key="k")
        again = self.call("POST", "/admin/flavors", body=body, Idempotency_Key="k")
        self.assertEqual((first.json, 201), (again.json, again.status_code))

    def test_bad_bodies(self):
        for many, body, pointer in (
            ("flavors", {"name": "x", "vcpus": 0, "ram_mb": 64}, "/vcpus"),
            ("flavors", {"name": "x", "vcpus": 1, "ram_mb": "64"}, "/ram_mb"),
            ("images", {"name": "x", "references": {"no/name": "a"}}, "/references/no~1name"),
            ("images", {"name": "x", "references": {"fake": ""}}, "/references/fake"),
        ):
            self.refused(400, "POST", f"/admin/{many}", body=body, pointer=pointer)

    def test_tenants_see_them_in_their_way(self):
        flavors = self.ok("GET", "/tenants/blue/flavors", by="ria")["flavors"]
        self.assertEqual(["small", "large"], [one["name"] for one in flavors])
        for place, by in (("/tenants/blue", "ria"), ("/admin", "root")):
            named = self.ok("GET", f"{place}/flavors?name=large", by=by)
            self.assertEqual(["large"], [one["name"] for one in named["flavors"]])
            self.assertEqual([], self.ok("GET", f"{place}/images?name=none", by=by)["images"])
        self.assertEqual(4, self.ok("GET", "/tenants/blue/flavors/large", by="ria")["vcpus"])
        image = self.ok("GET", "/tenants/blue/images/host", by="ria")
        self.assertEqual(["east", "west", "bare"], image["backends"])
        self.assertNotIn("references", image)
        self.assertEqual([image], self.ok("GET", "/tenants/blue/images", by="ria")["images"])

    def test_only_admins_write(self):
        for many in ("flavors", "images"):
            for method, path in (("GET", ""), ("DELETE", "/x"), ("GET", "/x")):
                self.refused(403, method, f"/admin/{many}{path}", by="mia")


class BackendsTest(instances_case.InstancesCase):
    def test_drained_and_enabled_again(self):
        answer = self.call("GET", "/admin/backends/east")
        self.assertEqual(0, answer.json["revision"])
        self.assertNotIn("etag", answer.headers)  # health and numbers are in it too
        body = {"state": "draining", "reason": "new disks"}
        drained = self.ok("PATCH", "/admin/backends/east", body=body, If_Match='"0"')
        self.assertEqual(("draining", "new disks"), (drained["state"], drained["reason"]))
        self.refused(412, "PATCH", "/admin/backends/east", body=body, If_Match='"0"')
        self.refused(
            409,
            "POST",
            self.place,
            "apisvc.backend.none_suitable",
            body={"image": "host", "flavor": "small", "backend": "east"},
        )
        self.assertEqual("west", self.post()["spec"]["backend"])
        seen = self.ok("GET", "/tenants/blue/backends", by="ria")["backends"]
        self.assertEqual(["draining", "enabled", "enabled"], [one["state"] for one in seen])
        self.assertNotIn("reason", seen[0])
        again = self.ok("PATCH", "/admin/backends/east", body={"state": "draining"})
        self.assertEqual("new disks", again["reason"])
        enabled = self.ok("PATCH", "/admin/backends/east", body={"state": "enabled"})
        self.assertEqual("", enabled["reason"])
        self.assertEqual("east", self.post()["spec"]["backend"])  # the other has one already

    def test_unknown_and_bad(self):
        self.refused(404, "GET", "/admin/backends/none")
        self.refused(404, "PATCH", "/admin/backends/none", body={"state": "enabled"})
        self.refused(400, "PATCH", "/admin/backends/east", body={"state": "tired"}, pointer="/state")
        self.refused(403, "PATCH", "/admin/backends/east", by="mia", body={"state": "enabled"})

    def test_nodes_tell_who_could_not_be_asked(self):
        self.drivers["west"].script.outage()
        found = self.ok("GET", "/admin/nodes")
        self.assertEqual(["east"], [node["backend"] for node in found["nodes"]])
        self.assertEqual(
            {"west": "apisvc.backend.unavailable", "bare": "apisvc.backend.unsupported"},
            {one["backend"]: one["code"] for one in found["unlisted"]},
        )
        self.assertEqual(1, len(self.ok("GET", "/admin/nodes?backend=east")["nodes"]))
        self.refused(404, "GET", "/admin/nodes?backend=none")

    def test_a_node_is_cordoned_and_let_go_again(self):
        node = self.ok("GET", "/admin/nodes/east/fake-node")
        self.assertEqual(("east/fake-node", True), (node["id"], node["schedulable"]))
        path = "/admin/nodes/east/fake-node/actions"
        for action, schedulable in (("cordon", False), ("cordon", False), ("uncordon", True)):
            acted = self.ok("POST", path, body={"action": action})
            self.assertEqual({**node, "schedulable": schedulable}, acted)
            self.assertEqual(acted, self.ok("GET", "/admin/nodes/east/fake-node"))
        told = [one for one in self.ok("GET", "/admin/events")["events"] if one["target"]["kind"] == "node"]
        self.assertEqual(["node.cordon", "node.cordon", "node.uncordon"], [one["action"] for one in told])
        self.assertEqual(
            {("root", "east/fake-node")}, {(e["actor"]["name"], e["target"]["id"]) for e in told}
        )
        kept = self.call("POST", path, body={"action": "cordon"}, Idempotency_Key="k")
        replayed = self.call("POST", path, body={"action": "cordon"}, Idempotency_Key="k")
        self.assertEqual("true", replayed.headers["idempotency-replayed"])
        self.assertEqual(kept.json, replayed.json)
        self.assertEqual(4, self.drivers["east"].script.calls["cordon"])

    def test_nodes_that_cannot_be_asked(self):
        cordon = {"body": {"action": "cordon"}}
        for place, code in (
            ("east/none", "apisvc.resource.not_found"),
            ("none/fake-node", "apisvc.resource.not_found"),
            ("bare/any", "apisvc.backend.unsupported"),
        ):
            status = 404 if code.endswith("not_found") else 409
            self.refused(status, "GET", f"/admin/nodes/{place}", code)
            self.refused(status, "POST", f"/admin/nodes/{place}/actions", code, **cordon)
        self.refused(
            400, "POST", "/admin/nodes/east/fake-node/actions", pointer="/action", body={"action": "x"}
        )
        self.refused(403, "POST", "/admin/nodes/east/fake-node/actions", by="mia", **cordon)
        self.drivers["east"].script.outage()
        for _ in range(self.conf.live.failures):
            self.refused(503, "POST", "/admin/nodes/east/fake-node/actions", **cordon)
        asked = self.drivers["east"].script.calls["cordon"]
        problem = self.refused(503, "POST", "/admin/nodes/east/fake-node/actions", **cordon)
        self.assertIn("left alone for a while", problem["detail"])
        self.assertEqual(asked, self.drivers["east"].script.calls["cordon"])
        self.assertNotIn("node.cordon", self.actions())

    def test_drivers_and_workers(self):
        drivers = self.ok("GET", "/admin/drivers")["drivers"]
        self.assertEqual(["bare", "fake"], [one["name"] for one in drivers])
        self.assertEqual([], self.ok("GET", "/admin/workers")["workers"])
        lease = self.store.lease(10)
        worker = backends.Worker(id="w1", host="h", pid=7, started_at=1.0, backends=("east",))
        self.services.transactor.transact(
            self.context(), lambda txn: txn.put("workers/w1", worker, lease=lease.id)
        )
        [shown] = self.ok("GET", "/admin/workers")["workers"]
        self.assertEqual(("w1", 7, ["east"]), (shown["id"], shown["pid"], shown["backends"]))
