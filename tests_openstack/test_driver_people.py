"""Credentials, nodes and adoption on a real cloud, and one project that all tenants share."""

import openstack
import yaml
from keystoneauth1 import exceptions
from openstack import exceptions as refused

from apisvc.compute import base
from apisvc.compute.openstack import names
from tests_openstack import driver_case

Phase = base.Phase


class TestCredentials(driver_case.DriverCase):
    def _issue(self, name, role, seconds=600):
        request = base.CredentialRequest(name, self.tenant, role, seconds)
        return self.driver.issue(request, deadline=self.soon())

    @staticmethod
    def _login(credential):
        (config,) = yaml.safe_load(credential.content)["clouds"].values()
        config.pop("identity_api_version")
        return openstack.connect(load_envvars=False, load_yaml_config=False, **config)

    def test_they_let_into_the_tenants_project_and_nothing_else_until_revoked(self):
        workload = self.run_one()
        issued = self._issue("one", "member")
        self.assertEqual("clouds.yaml", issued.kind)
        with self._login(issued) as mine:
            self.assertEqual(self.project().id, mine.current_project_id)
            self.assertEqual([self.server(workload).id], [one.id for one in mine.compute.servers()])
            self.assertRaises(
                refused.ForbiddenException, lambda: list(mine.compute.servers(all_projects=True))
            )
            self.assertRaises(refused.ForbiddenException, lambda: list(mine.identity.users()))
            with self.assertRaises(refused.HttpException):  # it cannot make further ones
                mine.identity.create_application_credential(user=mine.current_user_id, name="more")
        self._issue("two", "reader")
        names_ = {one.id for one in self.driver.issued(self.tenant.id, deadline=self.soon())}
        self.assertEqual({"one", "two"}, names_)
        for _ in range(2):
            self.driver.revoke(self.tenant.id, "one", deadline=self.soon())
        with self._login(issued) as mine:
            self.assertRaises(exceptions.ClientException, mine.session.get_token)
        self.assertEqual(
            ["two"], [one.id for one in self.driver.issued(self.tenant.id, deadline=self.soon())]
        )

    def test_a_reader_cannot_change_anything(self):
        workload = self.run_one()
        with self._login(self._issue("look", "reader")) as mine:
            self.assertEqual(1, len(list(mine.compute.servers())))
            self.assertRaises(
                refused.ForbiddenException, mine.compute.delete_server, self.server(workload).id
            )

    def test_what_a_member_made_goes_with_the_tenant(self):
        self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        project = self.project()
        with self._login(self._issue("mine", "member")) as mine:
            network = mine.network.create_network(name="own")
            mine.network.create_subnet(network_id=network.id, cidr="10.9.0.0/24", ip_version=4)
            mine.network.create_port(network_id=network.id)
            mine.compute.create_keypair(name="own", public_key=driver_case.KEY)
            user_id = mine.current_user_id
        self.until(lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "removed")
        self.assertIsNone(self.project())
        for kind in ("networks", "ports", "routers", "security_groups"):
            left = [one for one in getattr(self.cloud.network, kind)() if one.project_id == project.id]
            self.assertEqual([], left, kind)
        self.assertEqual([], list(self.cloud.compute.keypairs(user_id=user_id)))


class TestNodes(driver_case.DriverCase):
    def test_hosts_say_what_they_have(self):
        nodes = self.driver.nodes(deadline=self.soon())
        self.assertTrue(nodes)
        for node in nodes:
            self.assertTrue(node.ready, node)
            self.assertGreater(node.vcpus, 0)


class TestAdoption(driver_case.DriverCase):
    def test_a_server_that_was_there_is_taken_as_it_is(self):
        server = self.ground.server(self.ground.network(), self.ground.flavor(), self.ground.images_of(0))
        strays = {stray.handle: stray for stray in self.driver.strays(deadline=self.soon())}
        stray = strays[server.id]
        self.assertEqual((1, 64, 1), (stray.vcpus, stray.ram_mb, stray.disk_gb))
        workload = self.workload(image=stray.image, ram_mb=stray.ram_mb)
        for _ in range(2):
            seen = self.driver.adopt(workload, server.id, deadline=self.soon())
            self.assertEqual((workload.id, server.id), (seen.tag.instance_id, seen.handle))
        self.assertEqual(server.id, self.look(workload).handle)
        self.assertEqual(server.id, self.ensure(workload).handle)
        self.assertNotIn(server.id, {one.handle for one in self.driver.strays(deadline=self.soon())})
        other = self.make(owner=f"{self.owner}-2")
        self.assertRaises(base.InvalidSpec, other.adopt, workload, server.id, deadline=self.soon())
        self.assertRaises(base.NotFound, self.driver.adopt, workload, "0" * 32, deadline=self.soon())
        self.gone(workload)
        self.until(lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "removed")
        tags = self.cloud.identity.get_project(server.project_id).tags
        self.assertEqual([], [tag for tag in tags if tag.startswith("apisvc")], "the project bears our tags")


class TestSharedProject(driver_case.DriverCase):
    options = {"tenancy": "shared-project"}

    def test_tenants_have_networks_of_their_own_in_it_and_leave_nothing(self):
        workload = self.run_one()
        mine = names.scope(self.owner, self.tenant.id)
        self.assertEqual(self.cloud.current_project_id, self.server(workload).project_id)
        self.assertIsNone(self.project())
        self.assertEqual([mine], list(self.server(workload).addresses))
        request = base.CredentialRequest("c", self.tenant, "member", 600)
        self.assertRaises(base.InvalidSpec, self.driver.issue, request, deadline=self.soon())
        self.gone(workload)
        self.until(lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "removed")
        for kind in ("networks", "subnets", "routers", "security_groups"):
            self.assertEqual([], [one.id for one in getattr(self.cloud.network, kind)() if one.name == mine])
