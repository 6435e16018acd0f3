"""Callers whom another authority knows, with its projects in the tenants' place: over the API, and in no record."""

import threading
import uuid

from falcon import testing

from apisvc import app
from apisvc.auth import base
from apisvc.model import identity
from apisvc.routes.v1 import admin, tenant, user
from tests.unit.routes import accounts

MANAGER, MEMBER = identity.Role.MANAGER, identity.Role.MEMBER


class Outside(base.AuthDriver):
    """Takes ``X-Outside: USER PROJECT-ID ROLE NAME``."""

    contract = "1.1"
    #: Whether a tenant is to be made.
    makes = True

    def authenticate(self, headers, *, deadline):
        if "X-OUTSIDE" not in headers:
            return None
        name, project, role, called = headers["X-OUTSIDE"].split(" ", 3)
        return identity.Identity(
            user_id=f"outside:{name}",
            user_name=name,
            scope_tenant_id=project,
            roles={project: identity.Role(role)},
            project=identity.Project(tenant_id=project, name=called) if self.makes else None,
            source="outside",
        )


class TestProjects(accounts.RoutesCase):
    def setUp(self):
        super().setUp()
        self.outside = Outside(None, self.store)
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        made = app.create_app(self.conf, self.services, [self.outside, self.auth], packages)
        self.client = testing.TestClient(made)
        self.project = str(uuid.uuid4())

    def outsider(
        self, method, path, status=200, called="lab", role="member", name="ann", project=None, body=None
    ):
        said = f"{name} {project or self.project} {role} {called}"
        return self.ok(method, path, status, by=None, body=body, X_Outside=said)

    def test_the_first_who_arrives_makes_the_tenant(self):
        shown = self.outsider("GET", f"/tenants/{self.project}")
        self.assertEqual((self.project, "lab", "member"), (shown["id"], shown["name"], shown["role"]))
        self.assertEqual(self.conf.quota.instances, shown["quota"]["instances"])
        (event,) = self.ok("GET", f"/admin/events?target_id={self.project}")["events"]
        self.assertEqual(
            ("tenant.create", "outside:ann", "ann"),
            (event["action"], event["actor"]["id"], event["actor"]["name"]),
        )

    def test_it_is_listed_as_the_callers_own(self):
        for path in ("/tenants", "/user/tenants"):
            (found,) = self.outsider("GET", path)["tenants"]
            self.assertEqual((self.project, "member"), (found["id"], found["role"]))

    def test_who_arrive_together_make_one(self):
        failures = []

        def arrive():
            try:
                self.outsider("GET", f"/tenants/{self.project}")
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=arrive) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual([], failures)
        self.assertEqual(1, len(self.ok("GET", "/admin/tenants?name=lab")["tenants"]))

    def test_a_name_that_is_taken_or_can_be_none_gets_the_id(self):
        for called, wanted in (
            ("blue", "blue-{}"),
            ("Röntgen lab", "R-ntgen-lab"),
            ("Röntgen lab", "R-ntgen-lab-{}"),
            ("...", "project-{}"),
            ("x" * 64, "x" * 50 + "-{}"),
            (self.project, self.project[:50] + "-{}"),
        ):
            project = str(uuid.uuid4())
            shown = self.outsider("GET", f"/tenants/{project}", called=called, project=project)
            self.assertEqual(wanted.format(project[:8]), shown["name"], called)

    def test_one_projects_callers_see_nothing_of_others(self):
        self.outsider("GET", f"/tenants/{self.project}")
        other = str(uuid.uuid4())
        for path in (self.project, "lab", "blue", self.blue.id):
            self.outsider("GET", f"/tenants/{path}", 404, project=other, called="other")
        (found,) = self.outsider("GET", "/tenants", project=other, called="other")["tenants"]
        self.assertEqual(other, found["id"])

    def test_an_admin_makes_the_tenant_of_a_project(self):
        self.outside.makes = False
        self.outsider("GET", f"/tenants/{self.project}", 404)
        self.assertEqual([], self.outsider("GET", "/tenants")["tenants"])
        written = uuid.UUID(self.project).hex
        made = self.ok("POST", "/admin/tenants", 201, body={"name": "bound", "id": written})
        self.assertEqual(self.project, made["id"])
        self.assertEqual("bound", self.outsider("GET", f"/tenants/{self.project}")["name"])

    def test_two_tenants_never_have_one_id(self):
        body = {"name": "bound", "id": self.project}
        self.ok("POST", "/admin/tenants", 201, body=body)
        twice = {**body, "name": "again"}
        self.refused(409, "POST", "/admin/tenants", code="apisvc.resource.exists", body=twice)
        odd = {"name": "odd", "id": "{" + self.project + "}"}
        self.refused(400, "POST", "/admin/tenants", pointer="/id", body=odd)

    def test_a_tenant_that_is_disabled_or_being_removed_stays_so(self):
        self.outsider("GET", f"/tenants/{self.project}")
        self.ok("PATCH", f"/admin/tenants/{self.project}", body={"state": "disabled"})
        self.assertEqual("disabled", self.outsider("GET", f"/tenants/{self.project}")["state"])
        self.ok("DELETE", f"/admin/tenants/{self.project}", 202)
        self.assertEqual("removing", self.outsider("GET", f"/tenants/{self.project}")["state"])

    def test_who_is_in_no_record_has_nothing_of_its_own_there(self):
        self.outsider("GET", "/user", 404)
        self.outsider("POST", "/user/tokens", 404, body={"name": "spare"})
        self.assertEqual([], self.outsider("GET", "/user/instances")["instances"])
