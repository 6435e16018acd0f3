from apisvc.model import identity
from apisvc.service import tokens
from tests.unit.routes import accounts


class AdminTenantsTest(accounts.RoutesCase):
    def test_created_shown_changed(self):
        body = {"name": "green", "labels": {"a": "b"}, "quota": {"instances": 2}}
        answer = self.call("POST", "/admin/tenants", body=body)
        self.assertEqual(201, answer.status_code, answer.text)
        made = answer.json
        self.assertEqual(f"/v1/admin/tenants/{made['id']}", answer.headers["location"])
        self.assertEqual((2, 40), (made["quota"]["instances"], made["quota"]["vcpus"]))
        self.assertEqual("2027-01-15T08:00:00.000000Z", made["created_at"])
        shown = self.call("GET", "/admin/tenants/green")
        self.assertEqual(made, shown.json)
        self.assertEqual(f'"{made["revision"]}"', shown.headers["etag"])
        self.refused(409, "POST", "/admin/tenants", code="apisvc.resource.exists", body={"name": "green"})

        change = {"state": "disabled", "name": "lime"}
        changed = self.ok("PATCH", "/admin/tenants/green", body=change, If_Match=shown.headers["etag"])
        self.assertEqual(
            ("disabled", "lime", {"a": "b"}), (changed["state"], changed["name"], changed["labels"])
        )
        self.refused(412, "PATCH", "/admin/tenants/lime", body={}, If_Match=shown.headers["etag"])
        self.refused(412, "DELETE", "/admin/tenants/lime", If_Match=shown.headers["etag"])
        self.refused(404, "GET", "/admin/tenants/green")

    def test_bad_bodies(self):
        for body, pointer in (
            ({"name": "a b"}, "/name"),
            ({"name": "x", "quota": {"vcpus": -2}}, "/quota/vcpus"),
            ({"name": "x", "quota": {"cpus": 1}}, "/quota/cpus"),
            ({"name": "x", "state": "enabled"}, "/state"),
        ):
            self.refused(400, "POST", "/admin/tenants", body=body, pointer=pointer)
        self.refused(400, "PATCH", "/admin/tenants/blue", body={"state": "removing"}, pointer="/state")

    def test_a_removal_is_under_way(self):
        for _ in range(2):
            answer = self.call("DELETE", "/admin/tenants/blue")
            self.assertEqual((202, "removing"), (answer.status_code, answer.json["state"]))
            self.assertEqual(f"/v1/admin/tenants/{self.blue.id}", answer.headers["location"])
            self.assertEqual(f'"{answer.json["revision"]}"', answer.headers["etag"])
        self.assertEqual("removing", self.ok("GET", "/tenants/blue", by="ria")["state"])
        body = {"description": "x"}
        self.refused(409, "PATCH", "/admin/tenants/blue", code="apisvc.resource.wrong_state", body=body)

    def test_lists(self):
        page = self.ok("GET", "/admin/tenants?limit=1")
        self.assertEqual(["blue"], [tenant["name"] for tenant in page["tenants"]])
        rest = self.ok("GET", page["next"].removeprefix("/v1"))
        self.assertEqual((["red"], None), ([tenant["name"] for tenant in rest["tenants"]], rest["next"]))
        self.ok("PATCH", "/admin/tenants/red", body={"state": "disabled"})
        for query, names in (("state=disabled", ["red"]), ("name=blue", ["blue"]), ("label=a", [])):
            found = self.ok("GET", f"/admin/tenants?{query}")["tenants"]
            self.assertEqual(names, [tenant["name"] for tenant in found])
        self.refused(400, "GET", "/admin/tenants?marker=x", pointer="query:marker")
        self.refused(400, "GET", "/admin/tenants?state=gone", pointer="query:state")

    def test_a_repeat_is_answered_as_before(self):
        sent = {"body": {"name": "green"}, "Idempotency_Key": "k1"}
        first = self.call("POST", "/admin/tenants", **sent)
        again = self.call("POST", "/admin/tenants", **sent)
        self.assertEqual((201, 201), (first.status_code, again.status_code), again.text)
        self.assertEqual(first.json, again.json)
        self.assertEqual("true", again.headers["idempotency-replayed"])
        self.assertEqual(first.headers["etag"], again.headers["etag"])
        sent["body"] = {"name": "lime"}
        self.refused(422, "POST", "/admin/tenants", **sent)


class OwnTenantsTest(accounts.RoutesCase):
    def test_only_ones_own_are_listed_with_ones_role(self):
        self.member(self.red, self.users["ria"], identity.Role.MANAGER)
        for path in ("/tenants", "/user/tenants"):
            found = self.ok("GET", path, by="ria")["tenants"]
            self.assertEqual(
                [("blue", "reader"), ("red", "manager")], [(t["name"], t["role"]) for t in found]
            )
            self.assertEqual([], self.ok("GET", path, by="out")["tenants"])
            self.assertEqual([], self.ok("GET", path, by="root")["tenants"])

    def test_a_token_of_one_tenant_lists_that_one_with_its_role(self):
        self.member(self.red, self.users["mia"], identity.Role.MANAGER)
        grant = tokens.Grant(tenant="blue", role=identity.Role.READER)
        self.login_as("mia-in-blue", self.users["mia"], grant)
        for path in ("/tenants", "/user/tenants"):
            found = self.ok("GET", path, by="mia-in-blue")["tenants"]
            self.assertEqual([("blue", "reader")], [(t["name"], t["role"]) for t in found])
        self.refused(404, "GET", "/tenants/red", by="mia-in-blue")
        self.refused(403, "DELETE", "/tenants/blue/members/ria", by="mia-in-blue")

    def test_shown(self):
        self.assertEqual("member", self.ok("GET", "/tenants/blue", by="max")["role"])
        self.assertIsNone(self.ok("GET", f"/tenants/{self.blue.id}")["role"])
        self.assertNotIn("etag", self.call("GET", "/tenants/blue", by="max").headers)


class IsolationTest(accounts.RoutesCase):
    READS = ("", "/quota", "/usage", "/members", "/members/ria")

    def test_a_foreign_tenant_is_as_one_that_is_not_there(self):
        writes = [("PUT", {"role": "reader"}), ("PATCH", {"role": "reader"}), ("DELETE", None)]
        calls = [("GET", path, None) for path in self.READS]
        calls += [(method, "/members/ria", body) for method, body in writes]
        for method, path, body in calls:
            for by in ("rob", "out"):
                foreign = self.refused(404, method, f"/tenants/blue{path}", by=by, body=body)
                missing = self.refused(404, method, f"/tenants/tan{path}", by=by, body=body)
                for problem in (foreign, missing):
                    del problem["request_id"]
                    problem.pop("instance", None)
                self.assertEqual(missing, {**foreign, "detail": foreign["detail"].replace("blue", "tan")})

    def test_members_of_any_role_read(self):
        for by in ("mia", "max", "ria", "root"):
            for path in self.READS:
                self.ok("GET", f"/tenants/blue{path}", by=by)

    def test_nothing_of_the_admins_is_for_others(self):
        for method, path, body in (
            ("GET", "/admin/tenants", None),
            ("POST", "/admin/tenants", {"name": "x"}),
            ("GET", "/admin/tenants/blue", None),
            ("PATCH", "/admin/tenants/blue", {}),
            ("DELETE", "/admin/tenants/blue", None),
            ("GET", "/admin/tenants/blue/quota", None),
            ("PATCH", "/admin/tenants/blue/quota", {}),
            ("GET", "/admin/tenants/blue/members", None),
            ("PUT", "/admin/tenants/blue/members/mia", {"role": "reader"}),
            ("GET", "/admin/users", None),
            ("POST", "/admin/users", {"name": "x"}),
            ("PATCH", "/admin/users/mia", {"admin": True}),
            ("DELETE", "/admin/users/mia", None),
            ("GET", "/admin/users/mia/tokens", None),
            ("POST", "/admin/users/mia/tokens", {}),
            ("GET", "/admin/usage", None),
        ):
            self.refused(403, method, path, by="mia", body=body, code="apisvc.policy.denied")
            self.refused(401, method, path, by=None, body=body)

    def test_every_operation_is_closed_to_whom_it_does_not_concern(self):
        for resource in (
            "tenants/tan",
            "users/tan",
            "tenants/tan/quota",
            "users/tan/tokens",
            "tenants/tan/members",
        ):
            self.refused(404, "GET", f"/admin/{resource}")
            self.refused(403, "GET", f"/admin/{resource}", by="mia")
