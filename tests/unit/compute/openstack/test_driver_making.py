"""The driver against a scripted cloud: what it asks for to make a server, with its key pair and its disks."""

import base64

from apisvc.compute import base
from apisvc.compute.openstack import names
from tests.unit.compute.openstack import scripted

NOVA, soon = scripted.NOVA, scripted.soon


class TestMaking(scripted.ScriptedCase):
    options = {"availability_zone": "zone-1", "config_drive": True, "api_retries": 2}

    def setUp(self):
        super().setUp()
        made = {"server": {"id": "server-1"}}

        def create(request, context):
            self.servers(scripted.server())
            context.status_code = 202
            return made

        self.http.post(f"{NOVA}/servers", json=create)
        self.http.post(f"{NOVA}/os-keypairs", json={"keypair": {"name": "x"}})

    def _body(self):
        return self.asked("POST", "/servers")[0].json()["server"]

    def test_the_request(self):
        self.driver.ensure(self.workload(user_data="#!/bin/sh\n", labels={"team": "blue"}), deadline=soon())
        body = self._body()
        self.assertEqual("apisvc-i", body["name"])
        self.assertEqual(("image-1", "f1", "none"), (body["imageRef"], body["flavorRef"], body["networks"]))
        self.assertEqual([names.owner_tag(scripted.OWNER), names.instance_tag("i")], body["tags"])
        self.assertEqual("spec-1", body["metadata"][names.SPEC])
        self.assertEqual("blue", body["metadata"]["team"])
        self.assertEqual(b"#!/bin/sh\n", base64.b64decode(body["user_data"]))
        self.assertEqual(("zone-1", True), (body["availability_zone"], body["config_drive"]))

    def test_a_key_pair_lives_as_long_as_the_call(self):
        self.driver.ensure(self.workload(ssh_key="ssh-ed25519 AAAA me"), deadline=soon())
        self.assertEqual("apisvc-i", self._body()["key_name"])
        self.assertEqual(
            "ssh-ed25519 AAAA me", self.asked("POST", "/os-keypairs")[0].json()["keypair"]["public_key"]
        )
        self.assertEqual(1, len(self.asked("DELETE", "/os-keypairs/apisvc-i")))

    def test_a_key_pair_of_a_worker_that_died_is_used_or_goes_with_the_instance(self):
        self.keys(names.server("i"))
        self.http.post(f"{NOVA}/os-keypairs", status_code=409)
        self.driver.ensure(self.workload(ssh_key="ssh-ed25519 AAAA me"), deadline=soon())
        self.assertEqual("apisvc-i", self._body()["key_name"])
        self.servers()
        self.assertTrue(self.driver.delete("i", "tenant-1", deadline=soon()))
        self.assertTrue(self.driver.delete("j", "tenant-1", deadline=soon()))
        self.assertEqual(2, len(self.asked("DELETE", "/os-keypairs/apisvc-i")))
        self.assertEqual([], self.asked("DELETE", "/os-keypairs/apisvc-j"))

    def test_what_no_cloud_could_do_is_refused_before_one_is_asked(self):
        for fields, said in (
            ({"command": ["sh"]}, "command"),
            ({"secret_env": {"A": "hunter2"}}, "secret_env"),
            ({"ports": [80]}, "ports"),
            ({"user_data": "x" * 50000}, "65535"),
            ({"image": ""}, "reference"),
        ):
            with self.subTest(said=said), self.assertRaises(base.InvalidSpec) as caught:
                self.driver.ensure(self.workload(**fields), deadline=soon())
            self.assertIn(said, caught.exception.message)
            self.assertNotIn("hunter2", caught.exception.message)
        self.assertEqual([], self.asked("POST", "/servers"))

    def test_a_cloud_without_block_storage_says_so(self):
        with self.assertRaises(base.InvalidSpec) as caught:
            self.driver.ensure(self.workload(volumes=[1]), deadline=soon())
        self.assertIn("no block storage", caught.exception.message)

    def test_a_backend_without_an_external_network_says_so(self):
        with self.assertRaises(base.InvalidSpec) as caught:
            self.driver.ensure(self.workload(public_address=True), deadline=soon())
        self.assertIn("external network", caught.exception.message)

    def test_images(self):
        for images, error in (
            ([], base.NotFound),
            ([{**scripted.IMAGE, "status": "queued"}], base.InvalidSpec),
            ([scripted.IMAGE, {**scripted.IMAGE, "id": "image-2"}], base.InvalidSpec),
        ):
            self.http.get(f"{scripted.GLANCE}/v2/images", json={"images": images})
            with self.subTest(images=len(images)), self.assertRaises(error) as caught:
                self.driver.ensure(self.workload(), deadline=soon())
            self.assertIn("tiny", caught.exception.message)

    def test_a_flavor_that_is_not_there(self):
        with self.assertRaises(base.NotFound) as caught:
            self.driver.ensure(self.workload(vcpus=7), deadline=soon())
        self.assertIn("7 vcpus", caught.exception.message)

    def test_reads_are_repeated_and_nothing_else_is(self):
        self.http.get(f"{NOVA}/servers/detail", [{"status_code": 503}, {"json": {"servers": []}}])
        self.http.post(f"{NOVA}/servers", status_code=503)
        self.assertRaises(base.Unavailable, self.driver.ensure, self.workload(), deadline=soon())
        self.assertEqual(2, len(self.asked("GET", "/servers/detail")))
        self.assertEqual(1, len(self.asked("POST", "/servers")))


class TestVolumes(scripted.ScriptedCase):
    services = {**scripted.SERVICES, "block-storage": "http://cinder.test/v3"}
    options = {"boot_from_volume": True, "volume_type": "fast"}

    def test_disks_come_and_go_with_the_server(self):
        self.http.get(f"{NOVA}/flavors/detail", json={"flavors": [{**scripted.FLAVOR, "disk": 0}]})

        def create(request, context):
            self.servers(scripted.server())
            return {"server": {"id": "server-1"}}

        self.http.post(f"{NOVA}/servers", json=create)
        self.driver.ensure(self.workload(disk_gb=5, volumes=[10, 20]), deadline=soon())
        body = self.asked("POST", "/servers")[0].json()["server"]
        self.assertNotIn("imageRef", {key for key, value in body.items() if value})
        disks = body["block_device_mapping_v2"]
        self.assertEqual([5, 10, 20], [disk["volume_size"] for disk in disks])
        self.assertEqual(["image", "blank", "blank"], [disk["source_type"] for disk in disks])
        self.assertEqual({True}, {disk["delete_on_termination"] for disk in disks})
        self.assertEqual({"fast"}, {disk["volume_type"] for disk in disks})

    def test_what_was_made_for_a_server_that_never_was_goes_first(self):
        cinder = self.services["block-storage"]
        self.http.get(cinder, json={"versions": [self._version("v3.0", f"{cinder}/")]})
        self.http.get(f"{cinder}/", json={"versions": [self._version("v3.0", f"{cinder}/")]})
        self.http.delete(f"{cinder}/volumes/v1", status_code=202)
        self.http.delete(f"{NOVA}/servers/server-1", status_code=204)
        mine = {"status": "ERROR", "OS-SRV-USG:launched_at": None, "metadata": {names.VOLUMES: "yes"}}
        self.servers(scripted.server(**mine))
        for status, deleted in (("creating", 0), ("available", 1)):
            found = {"id": "v1", "status": status, "name": "server-1-blank-vol"}
            self.http.get(f"{cinder}/volumes/detail", json={"volumes": [found]})
            try:
                self.assertFalse(self.driver.delete("i", "tenant-1", deadline=soon()))
            except base.Unavailable:
                self.assertEqual("creating", status)
            self.assertEqual(deleted, len(self.asked("DELETE", "/volumes/v1")))
            self.assertEqual(deleted, len(self.asked("DELETE", "/servers/server-1")))
        self.assertEqual(
            {"server-1-blank-vol"}, {one.qs["name"][0] for one in self.asked("GET", "/volumes/detail")}
        )
