"""The driver against a scripted cloud: servers are started, stopped, rebooted and resized."""

import json

from apisvc.compute import base
from apisvc.compute.openstack import names
from tests.unit.compute.openstack import scripted

NOVA, soon = scripted.NOVA, scripted.soon
Phase = base.Phase


class ActionCase(scripted.ScriptedCase):
    """A server that takes marks and actions."""

    def setUp(self):
        super().setUp()
        self.http.post(f"{NOVA}/servers/server-1/metadata", json={"metadata": {}})
        self.http.post(f"{NOVA}/servers/server-1/action", status_code=202)

    def asked_for(self):
        return [json.loads(one.text) for one in self.asked("POST", "/action")]


class TestPower(ActionCase):
    def setUp(self):
        super().setUp()
        self.actions()

    def actions(self, *names_):
        found = [{"action": name, "request_id": f"req-{n}"} for n, name in enumerate(names_)]
        self.http.get(f"{NOVA}/servers/server-1/os-instance-actions", json={"instanceActions": found})

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


class TestResizing(ActionCase):
    def setUp(self):
        super().setUp()
        larger = {**scripted.FLAVOR, "id": "f2", "name": "large", "vcpus": 2}
        self.http.get(f"{NOVA}/flavors/detail", json={"flavors": [scripted.FLAVOR, larger]})
        self.wanted = self.workload(vcpus=2, flavor="large", spec_hash="spec-2")
        self.same = {names.IMAGE: "tiny", names.PARTS: names.parts(self.wanted)}

    def ensure(self):
        return self.driver.ensure(self.wanted, deadline=soon())

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
