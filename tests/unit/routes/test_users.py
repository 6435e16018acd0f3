from apisvc.service import tokens
from tests.unit.routes import accounts


class UsersTest(accounts.RoutesCase):
    def test_created_shown_changed_deleted(self):
        body = {"name": "ann", "email": "ann@example.org"}
        answer = self.call("POST", "/admin/users", body=body)
        self.assertEqual(201, answer.status_code, answer.text)
        self.assertEqual(f"/v1/admin/users/{answer.json['id']}", answer.headers["location"])
        shown = self.call("GET", "/admin/users/ann")
        self.assertEqual(answer.json, shown.json)
        stale = shown.headers["etag"]
        self.assertFalse(
            self.ok("PATCH", "/admin/users/ann", body={"enabled": False}, If_Match=stale)["enabled"]
        )
        self.refused(412, "PATCH", "/admin/users/ann", body={"enabled": True}, If_Match=stale)
        self.refused(412, "DELETE", "/admin/users/ann", If_Match=stale)
        self.ok("DELETE", "/admin/users/ann", 204)
        self.refused(404, "GET", "/admin/users/ann")
        self.refused(404, "DELETE", "/admin/users/ann")

    def test_bad_bodies(self):
        for body, pointer in (
            ({"name": "x", "email": "nobody"}, "/email"),
            ({"name": "x", "email": "a@b\n"}, "/email"),
            ({"name": "00000000-0000-7000-8000-000000000001"}, "/name"),
            ({"name": "x", "password": "y"}, "/password"),
        ):
            self.refused(400, "POST", "/admin/users", body=body, pointer=pointer)

    def test_lists(self):
        names = [user["name"] for user in self.ok("GET", "/admin/users?admin=false")["users"]]
        self.assertEqual(["mia", "max", "ria", "rob", "out"], names)
        self.assertEqual(1, len(self.ok("GET", "/admin/users?name=mia")["users"]))

    def test_the_last_admin_stays(self):
        for body in ({"admin": False}, {"enabled": False}):
            self.refused(409, "PATCH", "/admin/users/root", body=body, code="apisvc.resource.conflict")
        self.refused(409, "DELETE", "/admin/users/root")

    def test_a_disabled_or_deleted_user_is_out_at_once(self):
        self.ok("GET", "/user", by="mia")
        self.ok("PATCH", "/admin/users/mia", body={"enabled": False})
        self.refused(401, "GET", "/user", by="mia")
        self.ok("PATCH", "/admin/users/mia", body={"enabled": True})
        self.ok("GET", "/user", by="mia")
        self.ok("DELETE", "/admin/users/mia", 204)
        self.refused(401, "GET", "/user", by="mia")

    def test_oneself(self):
        found = self.ok("GET", "/user", by="mia")
        self.assertEqual("mia", found["name"])
        self.assertEqual(
            (None, None, False), tuple(found["access"][f] for f in ("tenant_id", "role", "admin"))
        )
        self.login_as("small", self.users["mia"], tokens.Grant(tenant="blue", role=accounts.READER))
        access = self.ok("GET", "/user", by="small")["access"]
        self.assertEqual((self.blue.id, "reader"), (access["tenant_id"], access["role"]))
        self.assertTrue(self.ok("GET", "/user")["access"]["admin"])


class MembersTest(accounts.RoutesCase):
    def test_a_manager_manages_the_members_of_the_own_tenant(self):
        path = "/tenants/blue/members/out"
        made = self.ok("PUT", path, 201, by="mia", body={"role": "reader"})
        self.assertEqual(
            ("out", "reader", self.blue.id), (made["user_name"], made["role"], made["tenant_id"])
        )
        shown = self.call("GET", path, by="ria")
        self.assertEqual(made, shown.json)
        self.ok("GET", "/tenants/blue", by="out")
        etag = shown.headers["etag"]
        self.assertEqual(
            "member", self.ok("PATCH", path, by="mia", body={"role": "member"}, If_Match=etag)["role"]
        )
        self.refused(412, "PUT", path, by="mia", body={"role": "reader"}, If_Match=etag)
        self.refused(412, "DELETE", path, by="mia", If_Match=etag)
        self.ok("PUT", path, by="mia", body={"role": "reader"})
        names = [
            member["user_name"] for member in self.ok("GET", "/tenants/blue/members", by="ria")["members"]
        ]
        self.assertEqual(["mia", "max", "ria", "out"], names)
        self.ok("DELETE", path, 204, by="mia")
        self.refused(404, "GET", "/tenants/blue", by="out")
        self.refused(404, "PATCH", path, by="mia", body={"role": "reader"})

    def test_others_do_not(self):
        for by in ("max", "ria"):
            for method, body in (
                ("PUT", {"role": "reader"}),
                ("PATCH", {"role": "reader"}),
                ("DELETE", None),
            ):
                self.refused(403, method, "/tenants/blue/members/mia", by=by, body=body)

    def test_admins_manage_those_of_any(self):
        path = "/admin/tenants/blue/members"
        self.ok("PUT", f"{path}/out", 201, body={"role": "manager"})
        self.assertEqual(4, len(self.ok("GET", path)["members"]))
        self.assertEqual("reader", self.ok("PATCH", f"{path}/out", body={"role": "reader"})["role"])
        self.assertEqual("reader", self.ok("GET", f"{path}/{self.users['out'].id}")["role"])
        self.ok("DELETE", f"{path}/out", 204)
        self.refused(400, "PUT", f"{path}/out", body={"role": "admin"}, pointer="/role")
        self.refused(404, "PUT", f"{path}/nobody", body={"role": "reader"})

    def test_a_changed_role_is_effective_at_once(self):
        self.ok("PUT", "/tenants/blue/members/max", by="mia", body={"role": "manager"})
        self.ok("PUT", "/tenants/blue/members/mia", by="max", body={"role": "reader"})
        self.refused(403, "PUT", "/tenants/blue/members/max", by="mia", body={"role": "reader"})


class QuotasTest(accounts.RoutesCase):
    def test_shown_and_changed(self):
        shown = self.call("GET", "/tenants/blue/quota", by="ria")
        self.assertEqual(20, shown.json["limits"]["instances"])
        path = "/admin/tenants/blue/quota"
        self.assertEqual(shown.json, self.ok("GET", path))
        changed = self.ok("PATCH", path, body={"instances": 0, "vcpus": -1}, If_Match=shown.headers["etag"])
        self.assertEqual((0, -1, 500), tuple(changed["limits"][f] for f in ("instances", "vcpus", "disk_gb")))
        self.refused(412, "PATCH", path, body={"vcpus": 1}, If_Match=shown.headers["etag"])
        self.refused(400, "PATCH", path, body={"vcpus": -2}, pointer="/vcpus")
        self.refused(405, "PATCH", "/tenants/blue/quota", by="mia", body={"vcpus": 1})

    def test_usage(self):
        self.ok("PATCH", "/admin/tenants/blue/quota", body={"vcpus": -1})
        usage = self.ok("GET", "/tenants/blue/usage", by="ria")
        self.assertEqual({"instances": 0, "vcpus": 0, "ram_mb": 0, "disk_gb": 0}, usage["used"])
        self.assertEqual((20, None), (usage["free"]["instances"], usage["free"]["vcpus"]))
        everybody = self.ok("GET", "/admin/usage?limit=1")
        self.assertEqual([usage], everybody["usage"])
        rest = self.ok("GET", everybody["next"].removeprefix("/v1"))
        self.assertEqual(["red"], [one["tenant_name"] for one in rest["usage"]])
