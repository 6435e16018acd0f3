"""The cloud is one on which the driver can be tested: servers run, are resized and print, and users log in."""

import openstack
import testtools
from openstack import exceptions

from tests_openstack import cloud


class TestCloud(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.things = self.useFixture(cloud.Things())
        self.compute = self.things.admin.compute

    def test_a_server_runs_prints_and_is_resized(self):
        small, big = self.things.flavor(), self.things.flavor("-big", ram=128, vcpus=2)
        server = self.things.server(self.things.network(), small, self.things.image())
        (addresses,) = server.addresses.values()
        self.assertTrue(addresses[0]["addr"].startswith("10.77.0."), addresses)
        self.assertTrue(self.compute.get_server_console_output(server)["output"])
        self.compute.resize_server(server, big.id)
        self.things.settled(server, "VERIFY_RESIZE")
        self.compute.confirm_server_resize(server)
        self.assertEqual(big.name, self.things.settled(server).flavor.original_name)

    def test_an_application_credential_logs_in_until_it_is_deleted(self):
        user = self.things.user(self.things.project(), "member")
        with user.connect() as joined:
            made = joined.identity.create_application_credential(
                user=user.id, name=self.things.name, roles=[{"name": "member"}]
            )
            auth = {
                "auth_url": user.auth["auth_url"],
                "application_credential_id": made.id,
                "application_credential_secret": made.secret,
            }

            def login():
                return openstack.connect(
                    load_envvars=False,
                    load_yaml_config=False,
                    auth_type="v3applicationcredential",
                    auth=auth,
                    region_name=user.region,
                )

            with login() as limited:
                self.assertEqual(user.project.id, limited.current_project_id)
            joined.identity.delete_application_credential(user.id, made)
            with login() as limited:
                self.assertRaises(exceptions.SDKException, limited.authorize)
