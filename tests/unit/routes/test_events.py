import json

from tests.unit.routes import instances_case

SSE, NDJSON = "text/event-stream", "application/x-ndjson"


class PagesTest(instances_case.InstancesCase):
    def test_of_a_tenant_an_instance_everything_and_oneself(self):
        made = self.post(name="web")
        self.post(name="other", by="mia")
        self.ok("POST", f"{self.place}/web/actions", 202, by="mia", body={"action": "stop"})
        for path, by, wanted in (
            ("/tenants/blue/events?action=instance", "ria", ["create", "create", "stop"]),
            (f"{self.place}/web/events", "ria", ["create", "stop"]),
            (f"/tenants/blue/events?target_id={made['id']}&action=instance.stop", "ria", ["stop"]),
            ("/user/events?action=instance", "max", ["create"]),
            ("/user/events?action=instance", "mia", ["create", "stop"]),
            ("/user/events?action=instance", "rob", []),
            ("/tenants/red/events?action=instance", "rob", []),
            ("/admin/events?action=instance", "root", ["create", "create", "stop"]),
        ):
            found = self.ok("GET", path, by=by)["events"]
            self.assertEqual([f"instance.{verb}" for verb in wanted], [e["action"] for e in found], path)

    def test_who_did_what_in_which_request(self):
        answer = self.call("POST", self.place, by="max", body={"image": "host", "flavor": "small"})
        event = self.ok("GET", "/tenants/blue/events?action=instance", by="ria")["events"][0]
        self.assertEqual(answer.headers["x-openstack-request-id"], event["request_id"])
        self.assertEqual({"kind": "user", "id": self.users["max"].id, "name": "max"}, event["actor"])
        self.assertEqual(answer.json["revision"], event["revision"])
        self.assertEqual(answer.json["id"], event["target"]["id"])

    def test_moments_are_told_as_everywhere(self):
        self.ok("POST", "/user/tokens", 201, by="mia", body={"tenant": "blue"})
        (event,) = self.ok("GET", "/tenants/blue/events?action=token", by="mia")["events"]
        (token,) = self.ok("GET", "/user/tokens?limit=1000", by="mia")["tokens"][1:]
        for field in ("created_at", "expires_at"):
            self.assertEqual(token[field], event["detail"]["spec"][field])

    def test_bad_queries(self):
        for query, pointer in (
            ("action=Nonsense", "query:action"),
            ("since=yesterday", "query:since"),
            ("after=-1", "query:after"),
            ("after=x", "query:after"),
            ("after=" + "9" * 400, "query:after"),
            ("marker=%00", "query:marker"),
        ):
            self.refused(400, "GET", f"/tenants/blue/events?{query}", by="ria", pointer=pointer)

    def test_roles(self):
        self.refused(403, "GET", "/admin/events", by="mia")
        self.refused(404, "GET", "/tenants/blue/events", by="rob")


class FeedsTest(instances_case.InstancesCase):
    def entries(self, chunks, count):
        """The first ``count`` lines of NDJSON that are no heartbeats."""
        found = []
        while len(found) < count:
            found += [json.loads(line) for line in next(chunks).split(b"\n") if line.strip()]
        return found

    def test_ndjson_from_now_on(self):
        with self.stream("/tenants/blue/events", query="follow=true&action=instance") as (
            status,
            headers,
            chunks,
        ):
            self.assertEqual((200, NDJSON), (status, headers["content-type"]))
            [bookmark] = self.entries(chunks, 1)
            self.assertEqual(("bookmark", self.store.revision()), (bookmark["kind"], bookmark["cursor"]))
            made = self.post(name="web")
            [entry] = self.entries(chunks, 1)
        self.assertEqual(("instance.create", made["revision"]), (entry["kind"], entry["cursor"]))
        self.assertEqual(made["id"], entry["data"]["target"]["id"])

    def test_sse_goes_on_after_the_last_id(self):
        first = self.post(name="a")["revision"]
        second = self.post(name="b")["revision"]
        with self.stream("/tenants/blue/events", Accept=SSE, Last_Event_ID=str(first)) as (
            status,
            headers,
            chunks,
        ):
            self.assertEqual((200, SSE), (status, headers["content-type"]))
            text = b""
            while b"instance.create" not in text:
                text += next(chunks)
        self.assertIn(f"id: {second}\nevent: instance.create\ndata: {{".encode(), text)

    def test_a_list_tells_where_a_feed_goes_on(self):
        self.post(name="a")
        cursor = self.ok("GET", "/tenants/blue/events", by="ria")["cursor"]
        self.post(name="b")
        query = f"follow=true&after={cursor}"
        with self.stream("/tenants/blue/events", query=query) as (_, _, chunks):
            [entry] = self.entries(chunks, 1)
        self.assertEqual("b", entry["data"]["target"]["name"])

    def test_only_what_is_ones_own(self):
        with self.stream("/user/events", query="follow=true&action=instance") as (_, _, chunks):
            self.post(name="of-mia", by="mia")
            self.post(name="of-max")
            entries = self.entries(chunks, 2)
        told = [entry["data"]["target"]["name"] for entry in entries if entry["kind"] != "bookmark"]
        self.assertEqual(["of-max"], told[:1])

    def test_of_one_instance(self):
        self.post(name="web")
        with self.stream(f"{self.place}/web/events", query="follow=true&after=1") as (_, _, chunks):
            self.post(name="other")
            self.ok("POST", f"{self.place}/web/actions", 202, body={"action": "stop"})
            kinds = [entry["kind"] for entry in self.entries(chunks, 2)]
        self.assertEqual(["instance.create", "instance.stop"], kinds)

    def test_cursors_too_new_and_too_old_are_refused_before_the_feed_begins(self):
        revision = self.post(name="web")["revision"]
        path = "/tenants/blue/events?follow=true&after="
        self.refused(400, "GET", f"{path}{self.store.revision() + 1}", pointer="query:after")
        self.post(name="other")
        self.store.compact(self.store.revision())
        problem = self.refused(410, "GET", f"{path}{revision}", "apisvc.cursor.expired")
        self.assertEqual(self.store.revision(), problem["oldest"])

    def test_a_feed_that_is_closed_lets_go(self):
        for headers in ({}, {"Accept": SSE}):
            with self.stream("/tenants/blue/events", query="follow=true", **headers) as (status, _, _):
                self.assertEqual(200, status)  # not one chunk taken
        self.post(name="web")
