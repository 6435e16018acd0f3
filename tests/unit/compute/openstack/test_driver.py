"""The driver against a scripted cloud: what a real one does not do on demand."""

import base64
import datetime
import json

from apisvc.compute import base
from apisvc.compute.openstack import names
from tests.unit.compute.openstack import scripted

NOVA, soon = scripted.NOVA, scripted.soon
Phase = base.Phase


class TestLoggingIn(scripted.ScriptedCase):
    def test_nothing_of_the_environment_is_read(self):
        self.driver.check(deadline=soon())
        body = self.asked("POST", "/auth/tokens")[0].json()
        self.assertEqual("me", body["auth"]["identity"]["password"]["user"]["name"])

    def test_a_password_that_was_changed_is_tried_once_more(self):
        self.http.post(f"{scripted.AUTH}/auth/tokens", status_code=401, json={"error": {"message": "no"}})
        with self.assertRaises(base.Unauthorized) as caught:
            self.driver.check(deadline=soon())
        self.assertEqual(2, len(self.asked("POST", "/auth/tokens")))
        self.assertNotIn(scripted.PASSWORD, str(caught.exception))

    def test_a_token_that_ended_is_renewed(self):
        self.driver.check(deadline=soon())
        self.http.get(
            f"{NOVA}/servers/detail",
            [{"status_code": 401}, {"json": {"servers": [scripted.server()]}}],
        )
        self.assertEqual(1, len(self.driver.observe(deadline=soon())))
        self.assertEqual(2, len(self.asked("POST", "/auth/tokens")))

    def test_a_service_that_is_not_in_the_catalogue(self):
        self.token["token"]["catalog"] = []
        self.assertRaises(base.Unavailable, self.driver.observe, deadline=soon())

    def test_two_clouds_share_nothing(self):
        other = self.make(username="somebody-else")
        self.driver.check(deadline=soon())
        other.check(deadline=soon())
        bodies = [one.json() for one in self.asked("POST", "/auth/tokens")]
        users = [body["auth"]["identity"]["password"]["user"]["name"] for body in bodies]
        self.assertEqual(["me", "somebody-else"], users)


class TestListing(scripted.ScriptedCase):
    def test_all_pages(self):
        next_page = f"{NOVA}/servers/detail?marker=server-1"
        first = {
            "servers": [scripted.server("i")],
            "servers_links": [{"rel": "next", "href": next_page}],
        }
        self.http.get(f"{NOVA}/servers/detail", json=first)
        self.http.get(next_page, json={"servers": [scripted.server("j", id="server-2")]})
        seen = self.driver.observe(deadline=soon())
        self.assertEqual({"i", "j"}, {one.tag.instance_id for one in seen})

    def test_a_page_that_fails_is_an_error_and_no_partial_list(self):
        next_page = f"{NOVA}/servers/detail?marker=server-1"
        first = {"servers": [scripted.server()], "servers_links": [{"rel": "next", "href": next_page}]}
        self.http.get(f"{NOVA}/servers/detail", json=first)
        self.http.get(next_page, status_code=503)
        self.assertRaises(base.Unavailable, self.driver.observe, deadline=soon())

    def test_a_cell_that_is_down_is_an_error_and_no_partial_list(self):
        self.servers(
            scripted.server(), {"id": "server-9", "status": "UNKNOWN", "tenant_id": scripted.PROJECT}
        )
        self.assertRaises(base.Unavailable, self.driver.observe, deadline=soon())

    def test_what_is_told(self):
        self.servers(scripted.server())
        (seen,) = self.driver.observe(["i"], deadline=soon())
        self.assertEqual(base.Tag(scripted.OWNER, "tenant-1", "i", "spec-1"), seen.tag)
        self.assertEqual((Phase.RUNNING, "server-1", "host-1"), (seen.phase, seen.handle, seen.node))
        self.assertEqual(("10.0.0.5",), seen.addresses)
        self.assertEqual(1767225605.0, seen.started_at)

    def test_at_rest_by_itself_or_because_it_was_asked_for(self):
        for metadata, phase in (
            ({names.POWER: "stopped", names.RESTART: "never"}, Phase.STOPPED),
            ({names.POWER: "running", names.RESTART: "never"}, Phase.EXITED),
            ({names.POWER: "running", names.RESTART: "always"}, Phase.STOPPED),
        ):
            self.servers(scripted.server(status="SHUTOFF", metadata=metadata))
            (seen,) = self.driver.observe(["i"], deadline=soon())
            self.assertIs(phase, seen.phase, metadata)

    def test_what_could_not_be_built_for_a_passing_reason_is_of_no_spec(self):
        never = {"status": "ERROR", "OS-SRV-USG:launched_at": None}
        for text, spec_hash in (("No valid host was found.", ""), ("Image x is not active.", "spec-1")):
            self.servers(scripted.server(fault={"code": 500, "message": text}, **never))
            (seen,) = self.driver.observe(["i"], deadline=soon())
            self.assertEqual((Phase.FAILED, spec_hash), (seen.phase, seen.tag.spec_hash))


class TestTwins(scripted.ScriptedCase):
    def setUp(self):
        super().setUp()
        self.http.delete(f"{NOVA}/servers/younger", status_code=204)
        self.elder = scripted.server(id="elder", created="2026-01-01T00:00:00Z")
        self.younger = scripted.server(id="younger", created="2026-01-01T00:00:01Z")

    def test_the_younger_one_goes_whoever_sees_it(self):
        for servers in ((self.elder, self.younger), (self.younger, self.elder)):
            self.servers(*servers)
            for look in (
                lambda: self.driver.observe(deadline=soon()),
                lambda: self.driver.observe(["i"], deadline=soon()),
                lambda: [self.driver.ensure(self.workload(), deadline=soon())],
            ):
                before = len(self.asked("DELETE", "/servers/younger"))
                self.assertEqual(["elder"], [seen.handle for seen in look()])
                self.assertEqual(before + 1, len(self.asked("DELETE", "/servers/younger")))

    def test_one_that_is_being_deleted_is_no_elder_one(self):
        self.servers({**self.elder, "OS-EXT-STS:task_state": "deleting"}, self.younger)
        (seen,) = self.driver.observe(["i"], deadline=soon())
        self.assertEqual("younger", seen.handle)
        self.assertEqual([], self.asked("DELETE", "/servers/younger"))

    def test_a_twin_that_cannot_be_deleted_now_does_not_keep_us_from_looking(self):
        self.servers(self.elder, self.younger)
        self.http.delete(f"{NOVA}/servers/younger", status_code=503)
        self.assertEqual(1, len(self.driver.observe(deadline=soon())))

    def test_delete_takes_both(self):
        self.servers(self.elder, self.younger)
        self.http.delete(f"{NOVA}/servers/elder", status_code=204)
        self.assertFalse(self.driver.delete("i", "tenant-1", deadline=soon()))
        self.assertEqual(2, sum(one.method == "DELETE" for one in self.http.request_history))

    def test_a_lost_answer_to_a_create_is_followed_by_a_look(self):
        """The next ensure finds what the lost one made, and makes no other."""
        self.http.post(f"{NOVA}/servers", exc=scripted.LOST)
        self.assertRaises(base.Timeout, self.driver.ensure, self.workload(), deadline=soon())
        self.assertEqual(1, len(self.asked("POST", "/servers")), "a POST is never repeated blindly")
        self.servers(scripted.server())
        self.driver.ensure(self.workload(), deadline=soon())
        self.assertEqual(1, len(self.asked("POST", "/servers")))


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


class TestPower(scripted.ScriptedCase):
    def setUp(self):
        super().setUp()
        self.http.post(f"{NOVA}/servers/server-1/metadata", json={"metadata": {}})
        self.http.post(f"{NOVA}/servers/server-1/action", status_code=202)
        self.actions()

    def actions(self, *names_):
        found = [{"action": name, "request_id": f"req-{n}"} for n, name in enumerate(names_)]
        self.http.get(f"{NOVA}/servers/server-1/os-instance-actions", json={"instanceActions": found})

    def asked_for(self):
        return [json.loads(one.text) for one in self.asked("POST", "/action")]

    def test_a_reboot_whose_answer_was_lost_is_not_repeated(self):
        workload = self.workload(reboots=1)
        self.servers(scripted.server())
        self.http.post(f"{NOVA}/servers/server-1/action", exc=scripted.LOST)
        self.assertRaises(base.Timeout, self.driver.reboot, workload, deadline=soon())
        marks = self.asked("POST", "/metadata")[0].json()["metadata"]
        self.assertEqual(("1", "0"), (marks[names.REBOOTS], marks[names.REBOOTS_BEFORE]))
        # It had come after all.
        self.actions("reboot")
        self.servers(scripted.server(metadata=marks))
        self.assertEqual(1, self.driver.reboot(workload, deadline=soon()).reboots)
        self.assertEqual(1, len(self.asked_for()))

    def test_a_reboot_that_was_announced_and_never_asked_for_is_asked_for(self):
        marks = {names.REBOOTS: "1", names.REBOOTS_BEFORE: "0"}
        self.servers(scripted.server(metadata=marks))
        self.driver.reboot(self.workload(reboots=1), deadline=soon())
        self.assertEqual([{"reboot": {"type": "SOFT"}}], self.asked_for())

    def test_hard_where_softly_is_refused(self):
        self.servers(scripted.server())
        self.http.get(f"{NOVA}/servers/server-1", json={"server": scripted.server()})
        self.http.post(f"{NOVA}/servers/server-1/action", [{"status_code": 409}, {"status_code": 202}])
        self.driver.reboot(self.workload(reboots=1), deadline=soon())
        self.assertEqual(["SOFT", "HARD"], [one["reboot"]["type"] for one in self.asked_for()])

    def test_what_others_did_is_undone_by_the_right_action(self):
        for status, action in (
            ("SHUTOFF", "os-start"),
            ("PAUSED", "unpause"),
            ("SUSPENDED", "resume"),
            ("SHELVED", "unshelve"),
        ):
            self.servers(scripted.server(status=status))
            self.assertIs(Phase.STARTING, self.driver.start(self.workload(), deadline=soon()).phase)
            self.assertEqual([action], list(self.asked_for()[-1]))

    def test_a_busy_server_is_in_progress(self):
        self.servers(scripted.server(**{"OS-EXT-STS:task_state": "image_snapshot"}))
        for call in (self.driver.stop, self.driver.reboot):
            self.assertRaises(base.InProgress, call, self.workload(reboots=1), deadline=soon())
        self.assertEqual([], self.asked_for())

    def test_a_start_of_what_ended_by_itself_is_counted(self):
        self.servers(scripted.server(status="SHUTOFF"))
        self.driver.start(self.workload(), deadline=soon())
        self.assertEqual("1", self.asked("POST", "/metadata")[0].json()["metadata"][names.RESTARTS])


class TestResizing(scripted.ScriptedCase):
    def setUp(self):
        super().setUp()
        self.http.post(f"{NOVA}/servers/server-1/metadata", json={"metadata": {}})
        self.http.post(f"{NOVA}/servers/server-1/action", status_code=202)
        larger = {**scripted.FLAVOR, "id": "f2", "name": "large", "vcpus": 2}
        self.http.get(f"{NOVA}/flavors/detail", json={"flavors": [scripted.FLAVOR, larger]})
        self.wanted = self.workload(vcpus=2, flavor="large", spec_hash="spec-2")
        self.same = {names.IMAGE: "tiny", names.PARTS: names.parts(self.wanted)}

    def ensure(self):
        return self.driver.ensure(self.wanted, deadline=soon())

    def asked_for(self):
        return [json.loads(one.text) for one in self.asked("POST", "/action")]

    def test_it_is_confirmed_once_the_cloud_is_done(self):
        self.servers(scripted.server(metadata=self.same))
        self.assertRaises(base.InProgress, self.ensure)
        self.assertEqual([{"resize": {"flavorRef": "f2"}}], self.asked_for())
        large = {"vcpus": 2, "ram": 256, "disk": 1, "original_name": "large"}
        mark = {**self.same, names.RESIZE: "f2"}
        self.servers(scripted.server(status="VERIFY_RESIZE", flavor=large, metadata=mark))
        self.assertRaises(base.InProgress, self.ensure)
        self.assertEqual({"confirmResize": None}, self.asked_for()[-1])
        # The cloud says so until the confirmation is done, and refuses another.
        self.http.post(f"{NOVA}/servers/server-1/action", status_code=400)
        self.assertRaises(base.InProgress, self.ensure)
        self.servers(scripted.server(flavor=large, metadata=mark))
        self.assertEqual("spec-2", self.ensure().tag.spec_hash)

    def test_one_that_the_cloud_took_back_is_told_and_tried_again(self):
        self.servers(scripted.server(metadata={**self.same, names.RESIZE: "f2"}))
        self.assertRaises(base.NoCapacity, self.ensure)
        self.assertEqual([], self.asked_for())
        self.servers(scripted.server(metadata={**self.same, names.RESIZE: ""}))
        self.assertRaises(base.InProgress, self.ensure)
        self.assertEqual([{"resize": {"flavorRef": "f2"}}], self.asked_for())


class TestTrying(scripted.ScriptedCase):
    def test_no_room_is_tried_again_from_the_beginning(self):
        fault = {"code": 500, "message": "No valid host was found."}
        self.servers(scripted.server(status="ERROR", fault=fault, **{"OS-SRV-USG:launched_at": None}))
        self.http.delete(f"{NOVA}/servers/server-1", status_code=204)
        self.assertRaises(base.NoCapacity, self.driver.ensure, self.workload(), deadline=soon())
        self.assertEqual(1, len(self.asked("DELETE", "/servers/server-1")))

    def test_a_build_that_the_cloud_has_forgotten_is_made_anew(self):
        never = {"status": "BUILD", "OS-SRV-USG:launched_at": None}
        now = datetime.datetime.now(datetime.UTC)
        for age, phase in ((60, base.Phase.CREATING), (1900, base.Phase.FAILED)):
            made = (now - datetime.timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
            self.servers(scripted.server(created=made, **never))
            (seen,) = self.driver.observe(deadline=soon())
            self.assertEqual(phase, seen.phase)
        self.assertEqual(("BuildTimeout", ""), (seen.reason, seen.tag.spec_hash))
        self.http.delete(f"{NOVA}/servers/server-1", status_code=204)
        self.assertRaises(base.InProgress, self.driver.ensure, self.workload(), deadline=soon())
        self.assertEqual(1, len(self.asked("DELETE", "/servers/server-1")))

    def test_an_end_that_the_cloud_has_forgotten_is_asked_for_again(self):
        self.http.post(f"{NOVA}/servers/server-1/action", status_code=202)
        self.http.delete(f"{NOVA}/servers/server-1", status_code=204)
        now = datetime.datetime.now(datetime.UTC)
        for age, asked in ((60, 0), (400, 1)):
            updated = (now - datetime.timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
            self.servers(scripted.server(updated=updated, **{"OS-EXT-STS:task_state": "deleting"}))
            self.assertFalse(self.driver.delete("i", "tenant-1", deadline=soon()))
            self.assertEqual(asked, len(self.asked("DELETE", "/servers/server-1")))
        (reset,) = self.asked("POST", "/action")
        self.assertEqual({"os-resetState": {"state": "error"}}, reset.json())

    def test_what_has_run_is_switched_off_and_on(self):
        self.servers(scripted.server(status="ERROR", fault={"code": 500, "message": "x"}))
        self.http.post(f"{NOVA}/servers/server-1/action", status_code=202)
        self.assertRaises(base.InProgress, self.driver.ensure, self.workload(), deadline=soon())
        self.assertEqual("HARD", self.asked("POST", "/action")[0].json()["reboot"]["type"])

    def test_the_cloud_asks_us_to_wait(self):
        self.http.get(f"{NOVA}/servers/detail", status_code=429, headers={"Retry-After": "30"})
        with self.assertRaises(base.RateLimited) as caught:
            self.driver.observe(deadline=soon())
        self.assertEqual(30.0, caught.exception.retry_after)
