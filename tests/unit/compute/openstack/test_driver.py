"""The driver against a scripted cloud: what a real one does not do on demand."""

import datetime

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
