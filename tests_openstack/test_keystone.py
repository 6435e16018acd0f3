"""Logins of a real Keystone, over HTTP, on a deployment with both kinds of tokens."""

import uuid

import requests
import testtools

from tests.functional import deployment
from tests_openstack import cloud


class LoginsCase(testtools.TestCase):
    #: See the options.
    settings = {"cache_time": 2}

    def setUp(self):
        super().setUp()
        self.things = self.useFixture(cloud.Things())
        self.project = self.things.project()
        self.ann = self.things.user(self.project, "member", suffix="-ann")
        home = self.things.project("-services")
        self.service = self.things.user(home, "service", suffix="-service")
        self.site = self.useFixture(
            deployment.Deployment({"auth": {"drivers": "token, keystone"}, **self.options()})
        )
        # One process, so that it is the one that remembers.
        self.site.start_api(workers=1)

    def options(self):
        login = {
            "auth_url": self.ann.auth["auth_url"],
            "username": self.service.name,
            "password": self.service.password,
            "project_name": self.service.project.name,
            "create_tenants": "true",
            "timeout": 10,
            **self.settings,
        }
        return {"keystone": login}

    def call(self, token, path, method="GET", body=None, **headers):
        """As a client that knows what 503 means: on a busy machine Keystone may be slow."""

        def answered():
            answer = self.site.call(method, path, body, token=token, **headers)
            return [] if answer.status_code == 503 else [answer]

        (answer,) = deployment.wait_for(f"{method} {path} is not 503", answered, cloud.PATIENCE)
        return answer

    def status(self, token, path, *args, **kw):
        return self.call(token, path, *args, **kw).status_code

    @staticmethod
    def tenant(project):
        return str(uuid.UUID(project.id))


class TestLogins(LoginsCase):
    def test_a_project_is_a_tenant_with_its_own_users_and_roles(self):
        token = self.ann.token()
        (own,) = self.call(token, "/v1/tenants").json()["tenants"]
        self.assertEqual(self.tenant(self.project), own["id"])
        self.assertEqual(self.project.name, own["name"])
        self.assertEqual("member", own["role"])
        self.site.made("/v1/admin/flavors", {"name": "tiny", "vcpus": 1, "ram_mb": 64, "disk_gb": 1})
        self.site.made("/v1/admin/images", {"name": "host", "references": {"fake": "host"}})
        path, wanted = (
            f"/v1/tenants/{own['id']}/instances",
            {"name": "web", "image": "host", "flavor": "tiny"},
        )
        made = self.call(token, path, "POST", wanted)
        self.assertEqual(202, made.status_code, made.text)
        # Who made it is the same in every token that she gets.
        (again,) = self.call(self.ann.token(), "/v1/user/instances").json()["instances"]
        self.assertEqual(made.json()["id"], again["id"])

        reader = self.things.user(self.project, "reader", suffix="-ria").token()
        self.assertEqual(200, self.status(reader, path))
        self.assertEqual(403, self.status(reader, path, "POST", {**wanted, "name": "no"}))

        other = self.things.user(self.things.project("-other"), "member", suffix="-bob").token()
        for place in (own["id"], own["name"]):
            self.assertEqual(404, self.status(other, f"/v1/tenants/{place}"))
        (shown,) = self.call(other, "/v1/tenants").json()["tenants"]
        self.assertNotEqual(own["id"], shown["id"])

    def test_an_admin_is_one_of_the_whole_system(self):
        identity = self.things.admin.identity
        boss = self.things.user(self.project, "admin", suffix="-boss")
        self.assertEqual(403, self.status(boss.token(), "/v1/admin/tenants"))
        identity.assign_system_role_to_user(boss.id, identity.find_role("admin", ignore_missing=False), "all")
        self.assertEqual(200, self.status(boss.token(system_scope="all"), "/v1/admin/tenants"))

    def test_a_token_that_is_revoked_is_good_no_longer_than_the_cache_time(self):
        token = self.ann.token()
        self.assertEqual(200, self.status(token, "/v1/tenants"))
        revoked = requests.delete(
            f"{self.ann.auth['auth_url']}/auth/tokens",
            headers={"X-Auth-Token": token, "X-Subject-Token": token},
            timeout=60,
        )
        self.assertEqual(204, revoked.status_code, revoked.text)
        deployment.wait_for("it is refused", lambda: self.status(token, "/v1/tenants") == 401, 120)

    def test_services_vouch_for_users_with_their_own_token(self):
        token = self.ann.token()
        service = self.service.token()
        self.assertEqual(200, self.status(token, "/v1/tenants", X_Service_Token=service))
        for bad in (token, "gAAAAA-of-nobody-at-all"):
            self.assertEqual(401, self.status(token, "/v1/tenants", X_Service_Token=bad))

    def test_an_application_credential_logs_in_to_its_project(self):
        with self.ann.connect() as joined:
            made = joined.identity.create_application_credential(
                user=self.ann.id, name=self.things.name, roles=[{"name": "member"}]
            )
            auth = {
                "auth_url": self.ann.auth["auth_url"],
                "application_credential_id": made.id,
                "application_credential_secret": made.secret,
            }
            with cloud.openstack.connect(
                load_envvars=False, load_yaml_config=False, auth_type="v3applicationcredential", auth=auth
            ) as limited:
                (own,) = self.call(limited.auth_token, "/v1/tenants").json()["tenants"]
        self.assertEqual(self.tenant(self.project), own["id"])


class TestTrouble(LoginsCase):
    settings = {"cache_time": 3600, "timeout": 5, "failures": 2}

    def test_one_that_is_down_is_503_and_costs_other_tokens_nothing(self):
        cloud.lab()
        known, fresh = self.ann.token(), self.ann.token()
        self.assertEqual(200, self.status(known, "/v1/tenants"))
        with cloud.without("keystone"):
            self.trouble(known, fresh)
        self.assertEqual(200, self.status(fresh, "/v1/tenants"))

    def test_one_that_hangs_is_503_and_costs_other_tokens_nothing(self):
        cloud.lab()
        known, fresh = self.ann.token(), self.ann.token()
        self.assertEqual(200, self.status(known, "/v1/tenants"))
        with cloud.frozen("keystone"):
            self.trouble(known, fresh)
        self.assertEqual(200, self.status(fresh, "/v1/tenants"))

    def trouble(self, known, fresh):
        for _ in range(8):
            refused = self.site.call("GET", "/v1/tenants", token=fresh)
            self.assertEqual((503, "apisvc.auth.unavailable"), (refused.status_code, refused.json()["code"]))
            self.assertIn("Retry-After", refused.headers)
            self.assertEqual(200, self.status(known, "/v1/tenants"))
            self.assertEqual(200, self.status(self.site.token, "/v1/tenants"))
        log = self.site.log("api.log")
        for secret in (known, fresh, self.service.password, self.ann.password):
            self.assertNotIn(secret, log)
