"""The way of a tenant through HTTP: gunicorn, a worker and a real cloud, and nothing left of it in any service."""

import json

import testtools

from apisvc.compute.openstack import names
from tests.functional import deployment
from tests_openstack import driver_case

PATIENCE = driver_case.PATIENCE


class TestThroughHttp(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.ground = self.useFixture(driver_case.Ground())
        self.owner = self.ground.name.removeprefix("apisvc-")
        options = {
            name: json.dumps(value) if isinstance(value, bool) else value
            for name, value in self.ground.options().items()
            if value is not None
        }
        self.service = self.useFixture(
            deployment.Deployment(
                {
                    "DEFAULT": {"enabled_backends": "private", "deployment": self.owner},
                    "private": {"driver": "openstack", **options},
                    "worker": {"driver_timeout": PATIENCE, "resync_interval": 20},
                    "live": {"timeout": PATIENCE},
                }
            )
        )
        # When a test failed, what it made goes all the same.
        self.addCleanup(self._sweep)
        self.service.start_api()
        self.service.start_worker()

    def _sweep(self):
        if self.service.api is not None and (tenant := self._tenant()):
            self.service.call("DELETE", f"/v1/admin/tenants/{tenant['id']}")
            self._until(lambda: self._tenant() is None, "the tenant is removed")

    def _tenant(self):
        answer = self.service.call("GET", "/v1/admin/tenants/acme")
        return answer.json() if answer.status_code == 200 else None

    def _until(self, what, why):
        return deployment.wait_for(
            lambda: f"{why}; {self.service.log('worker.log')[-2000:]}", what, PATIENCE * 2
        )

    def _instance(self):
        return self.service.call("GET", "/v1/tenants/acme/instances/web").json()

    def _until_state(self, state):
        def there():
            found = self._instance()["status"]
            if found["state"] == "error" and state != "error":
                raise AssertionError(found)
            return found["state"] == state and found["observed_generation"] == self._instance()["generation"]

        self._until(there, f"it is {state}")

    def _act(self, action, state):
        answer = self.service.call("POST", "/v1/tenants/acme/instances/web/actions", {"action": action})
        self.assertEqual(202, answer.status_code, answer.text)
        self._until_state(state)

    def _server(self):
        (server,) = self.ground.alive(self._instance()["id"])
        return server

    def test_from_tenant_to_nothing(self):
        made = self.service.made
        quota = {"instances": 2, "vcpus": 4, "ram_mb": 1024, "disk_gb": 10}
        tenant = made("/v1/admin/tenants", {"name": "acme", "quota": quota})
        made("/v1/admin/flavors", {"name": "small", "vcpus": 1, "ram_mb": 64, "disk_gb": 1})
        made("/v1/admin/flavors", {"name": "large", "vcpus": 2, "ram_mb": 128, "disk_gb": 1})
        made("/v1/admin/images", {"name": "tiny", "references": {"openstack": self.ground.images[0]}})
        made(
            "/v1/tenants/acme/instances",
            {"name": "web", "image": "tiny", "flavor": "small", "ssh_key": driver_case.KEY},
        )
        self._until_state("active")
        server = self._server()
        self.assertEqual(names.server(self._instance()["id"]), server.key_name)
        self.assertEqual(server.id, self._instance()["status"].get("handle", server.id))
        project = self.ground.admin.identity.get_project(server.project_id)
        self.assertEqual(names.scope(self.owner, tenant["id"]), project.name)
        self.assertEqual(2, self.ground.admin.compute.get_quota_set(project.id).instances)
        self._act("stop", "stopped")
        self.assertEqual("SHUTOFF", self._server().status)
        self._act("start", "active")
        self.assertEqual("ACTIVE", self._server().status)
        self._act("reboot", "active")
        actions = [one.action for one in self.ground.admin.compute.server_actions(server.id)]
        self.assertEqual(1, actions.count("reboot"), actions)
        self._until(self._printed, "its console is read")
        self._resize(server)
        self._remove(project)

    def _printed(self):
        """Whether two lines of the console were read; a busy cloud may answer too late for a request of ours."""
        logs = self.service.call("GET", "/v1/tenants/acme/instances/web/logs?tail=2")
        self.assertIn(logs.status_code, (200, 503), logs.text)
        return logs.status_code == 200 and len(logs.text.splitlines()) == 2

    def _resize(self, server):
        answer = self.service.call("PATCH", "/v1/tenants/acme/instances/web", {"flavor": "large"})
        self.assertEqual(202, answer.status_code, answer.text)
        self._until(
            lambda: self._server().flavor.vcpus == 2 and self._server().status == "ACTIVE", "it is resized"
        )
        self._until_state("active")
        self.assertEqual(server.id, self._server().id, "it is still the same server")

    def _remove(self, project):
        self.assertEqual(202, self.service.call("DELETE", "/v1/tenants/acme/instances/web").status_code)
        self._until(lambda: not self.service.instances(), "the instance is gone")
        answer = self.service.call("DELETE", "/v1/admin/tenants/acme")
        self.assertLess(answer.status_code, 300, answer.text)
        self._until(lambda: self._tenant() is None, "the tenant is removed")
        admin = self.ground.admin
        left = {
            "servers": list(admin.compute.servers(all_projects=True, project_id=project.id)),
            "projects": [one.name for one in admin.identity.projects() if one.id == project.id],
            "users": [one.name for one in admin.identity.users() if one.name.startswith(self.owner)],
            "key pairs": [one.name for one in admin.compute.keypairs()],
            "images": list(admin.image.images(owner=project.id)),
        }
        for kind in ("networks", "subnets", "routers", "ports", "ips", "security_groups"):
            # Not filtered by Neutron, which would make a default group to answer.
            left[kind] = [one.id for one in getattr(admin.network, kind)() if one.project_id == project.id]
        self.assertEqual({}, {kind: found for kind, found in left.items() if found})
