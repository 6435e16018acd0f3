"""The choice of a backend and its dry run, over HTTP."""

from apisvc.model import backends, codec, keys
from apisvc.storage import base as storage
from tests.unit.routes import instances_case


class PlacementCase(instances_case.InstancesCase):
    def found(self, name, *, healthy=True, **fields):
        """What a worker would have written of a backend."""
        at = self.clock.now()
        health = backends.BackendHealth(
            name=name, healthy=healthy, since=at, checked_at=at, good_until=at + 360, **fields
        )
        self.put(keys.join(keys.BACKEND_HEALTH, name), health)

    def put(self, key, record):
        self.store.commit([], [storage.Put(key, codec.encode(record))])

    def plan(self, status=200, query="", by="max", **fields):
        body = {"image": "host", "flavor": "small", **fields}
        before = self.raw()
        answer = self.call("POST", f"{self.place}?dry_run=true{query}", by=by, body=body)
        self.assertEqual(status, answer.status_code, answer.text)
        self.assertEqual(before, self.raw())
        return answer.json

    def events_of(self, instance):
        return self.ok("GET", f"{self.place}/{instance['id']}/events", by="max")["events"]


class DryRunTest(PlacementCase):
    def test_it_tells_what_the_create_then_does(self):
        self.found("east", healthy=False)
        self.found("west", instances=3)
        for wish in (
            {},
            {"driver": "fake"},
            {"requires": ["logs"]},
            {"backend": "west"},
            {"flavor": "large"},
        ):
            planned = self.plan(**wish)
            made = self.post(**wish)
            self.assertEqual(planned["backend"], made["spec"]["backend"])
            self.assertEqual(planned["spec"], made["spec"])
            told = self.events_of(made)[0]["detail"]
            self.assertEqual(planned["rejected"], told["placement"]["rejected"])
            for one, other in zip(planned["ranked"], told["placement"]["ranked"], strict=True):
                self.assertEqual({**one, **other}, one)
            self.assertEqual(planned["quota"]["after"], told["used"])
            self.assertEqual(self.ok("GET", "/tenants/blue/usage", by="max")["used"], told["used"])
        down = {"backend": "east", "reason": "it cannot be reached"}
        self.assertEqual(down, self.plan(driver="fake")["rejected"][0])

    def test_quota_before_and_after(self):
        self.ok("PATCH", "/admin/tenants/blue/quota", body={"instances": 2, "vcpus": 8})
        self.post()
        plan = self.plan(flavor="large")
        self.assertEqual(2, plan["quota"]["limits"]["instances"])
        self.assertEqual({"instances": 1, "vcpus": 1, "ram_mb": 100, "disk_gb": 1}, plan["quota"]["before"])
        self.assertEqual({"instances": 2, "vcpus": 5, "ram_mb": 400, "disk_gb": 21}, plan["quota"]["after"])
        self.assertEqual(self.store.revision(), plan["revision"])

    def test_what_fails_fails_the_same(self):
        self.ok("PATCH", "/admin/tenants/blue/quota", body={"vcpus": 2})
        self.found("west", healthy=False)
        self.post(name="web")
        for wish in (
            {"flavor": "large"},  # quota
            {"name": "web"},
            {"image": "nothing"},
            {"backend": "nowhere"},
            {"backend": "west"},
            {"driver": "other"},
            {"requires": ["wings"]},
            {"ports": [0]},
        ):
            body = {"image": "host", "flavor": "small", **wish}
            real = self.call("POST", self.place, by="max", body=body)
            self.assertGreaterEqual(real.status_code, 400, wish)
            planned = self.plan(real.status_code, **wish)
            wanted = {**real.json, "request_id": planned["request_id"]}
            self.assertEqual(wanted, planned)
        self.assertEqual(403, self.plan(403, by="ria")["status"])
        self.ok("PATCH", "/admin/tenants/blue", body={"state": "disabled"})
        self.assertEqual("apisvc.resource.wrong_state", self.plan(409)["code"])

    def test_a_key_is_not_used_up(self):
        body = {"image": "host", "flavor": "small"}
        dry = self.call("POST", f"{self.place}?dry_run=true", by="max", body=body, Idempotency_Key="k")
        self.assertEqual(200, dry.status_code)
        made = self.call("POST", self.place, by="max", body=body, Idempotency_Key="k")
        self.assertEqual((202, None), (made.status_code, made.headers.get("idempotency-replayed")))
        dry = self.call("POST", f"{self.place}?dry_run=true", by="max", body=body, Idempotency_Key="k")
        self.assertEqual(200, dry.status_code)

    def test_secrets_are_not_told(self):
        plan = self.plan(secret_env={"PASSWORD": "hunter2"})
        self.assertEqual({"PASSWORD": "***"}, plan["spec"]["secret_env"])

    def test_what_others_have_is_for_admins(self):
        room = backends.Room(vcpus=10.0, ram_mb=1000, disk_gb=100)
        capacity = backends.Capacity(at=1.0, nodes=1, total=room, free=room, rooms=(room,))
        self.found("east", instances=7, capacity=capacity)
        [mine] = self.plan(backend="east")["ranked"]
        self.assertEqual((None, None, 0), (mine["instances"], mine["free"], mine["own"]))
        [theirs] = self.plan(backend="east", by="root")["ranked"]
        self.assertEqual((7, 0.9), (theirs["instances"], theirs["free"]))
        made = self.post(backend="east")
        self.assertEqual(
            {"backend", "score", "weight", "own"},
            set(self.events_of(made)[0]["detail"]["placement"]["ranked"][0]),
        )

    def test_bad_queries(self):
        for query in ("?dry_run=maybe", "?dry_run=", "?dry=true"):
            self.refused(400, "POST", self.place + query, by="max", body={"image": "host", "flavor": "small"})
        answer = self.call(
            "POST", f"{self.place}?dry_run=false", by="max", body={"image": "host", "flavor": "small"}
        )
        self.assertEqual(202, answer.status_code)


class BackendsTest(PlacementCase):
    def test_what_is_for_some_is_not_there_for_others(self):
        shown = self.ok("PATCH", "/admin/backends/east", body={"tenants": ["red", self.red.id]})
        self.assertEqual([self.red.id], shown["tenants"])
        seen = self.ok("GET", "/tenants/blue/backends", by="max")["backends"]
        self.assertEqual(["west", "bare"], [one["name"] for one in seen])
        self.assertEqual(["west", "bare"], self.ok("GET", "/tenants/blue/images/host", by="max")["backends"])
        [image] = self.ok("GET", "/tenants/blue/images", by="max")["images"]
        self.assertEqual(["west", "bare"], image["backends"])
        made = self.post()
        self.assertEqual("west", made["spec"]["backend"])
        self.assertNotIn("east", str(self.events_of(made)))
        hidden = self.refused(
            400, "POST", self.place, by="max", body={"image": "host", "flavor": "small", "backend": "east"}
        )
        self.assertEqual("must be one of: west, bare", hidden["errors"][0]["detail"])
        self.assertEqual("west", self.plan(by="root", driver="fake")["backend"])
        theirs = self.ok("GET", "/tenants/red/backends", by="rob")["backends"]
        self.assertIn("east", [one["name"] for one in theirs])
        self.assertIsNone(self.ok("PATCH", "/admin/backends/east", body={"tenants": None})["tenants"])
        self.assertEqual(3, len(self.ok("GET", "/tenants/blue/backends", by="max")["backends"]))

    def test_for_nobody(self):
        for name in ("east", "west", "bare"):
            self.ok("PATCH", f"/admin/backends/{name}", body={"tenants": []})
        problem = self.refused(409, "POST", self.place, by="max", body={"image": "host", "flavor": "small"})
        self.assertEqual([], problem["rejected"])

    def test_weight_moves_what_is_new(self):
        shown = self.ok("PATCH", "/admin/backends/west", body={"weight": 300})
        self.assertEqual((300, None), (shown["weight"], shown["tenants"]))
        self.assertEqual(["west", "west"], [self.post()["spec"]["backend"] for _ in range(2)])
        event = self.ok("GET", "/admin/events?action=backend.update")["events"][0]
        self.assertEqual({"from": 100, "to": 300}, event["detail"]["changes"]["weight"])
        for weight in (-1, 1_000_001, 1.5, None):
            self.refused(400, "PATCH", "/admin/backends/west", pointer="/weight", body={"weight": weight})
        self.refused(
            400, "PATCH", "/admin/backends/west", pointer="/tenants/1", body={"tenants": ["red", "none"]}
        )

    def test_instances_and_capacity_are_shown(self):
        for _ in range(3):
            self.post(backend="east")
        room = backends.Room(vcpus=2.0)
        capacity = backends.Capacity(at=1.0, nodes=1, total=room, free=room, rooms=(room,))
        self.found("east", capacity=capacity)
        shown = self.ok("GET", "/admin/backends")["backends"]
        self.assertEqual([3, 0, 0], [one["instances"] for one in shown])
        self.assertEqual([{"vcpus": 2.0, "ram_mb": None, "disk_gb": None}], shown[0]["capacity"]["rooms"])
        self.assertEqual([None, None], [one["capacity"] for one in shown[1:]])
        self.assertEqual(shown[0], self.ok("GET", "/admin/backends/east"))


class StaleTest(PlacementCase):
    def setUp(self):
        super().setUp()
        self.made = self.post(name="web", backend="east")
        self.at = self.clock.now()

    def observed(self):
        """What a worker would have written after its look at the instance."""
        key = keys.join(keys.INSTANCES, self.blue.id, self.made["id"])
        record = codec.decode(self.store.get([key]).records[key].value, dict)
        record["status"].update(state="active", observed_at=self.at)
        self.put(key, record)

    def show(self):
        return self.ok("GET", f"{self.place}/web", by="max")["status"]

    def test_what_was_never_seen_is_not_stale(self):
        self.found("east", healthy=False)
        self.assertFalse(self.show()["stale"])

    def test_of_a_backend_that_is_out_of_sight(self):
        self.observed()
        self.assertFalse(self.show()["stale"])
        self.found("east", seen_at=self.at)
        before = self.show()
        self.assertFalse(before["stale"])
        self.found("east", healthy=False, seen_at=self.at + 100)
        after = self.show()
        self.assertEqual("active", after["state"])
        self.assertTrue(after["stale"])
        self.assertGreater(after["observed_at"], before["observed_at"])
        self.found("east")
        self.assertEqual(before, self.show())

    def test_of_one_at_which_nobody_looks(self):
        self.observed()
        self.found("east", seen_at=self.at)
        self.clock.at += 359
        self.assertFalse(self.show()["stale"])
        self.clock.at += 2
        self.assertTrue(self.show()["stale"])

    def test_filters(self):
        self.observed()
        self.post(name="new", backend="east")
        self.post(name="other", backend="west")
        self.found("east", healthy=False)
        for place in (self.place, "/user/instances", "/admin/instances"):
            by = "root" if place.startswith("/admin") else "max"

            def names(query, place=place, by=by):
                return [one["name"] for one in self.ok("GET", place + query, by=by)["instances"]]

            self.assertEqual(["web"], names("?stale=true"))
            self.assertEqual(["new", "other"], names("?stale=false"))
            self.assertEqual(["web", "new", "other"], names(""))
            self.assertEqual([], names("?stale=true&backend=west"))

    def test_what_is_kept_by_clients_is_never_taken_for_it(self):
        self.observed()
        answer = self.call("GET", f"{self.place}/web", by="max")
        tag = answer.headers["etag"]
        self.found("east", healthy=False)
        stale = self.call("GET", f"{self.place}/web", by="max", If_None_Match=tag)
        self.assertEqual((200, True), (stale.status_code, stale.json["status"]["stale"]))
        self.assertNotIn("etag", stale.headers)
        self.found("east")
        again = self.call("GET", f"{self.place}/web", by="max", If_None_Match=tag)
        self.assertEqual(304, again.status_code)

    def test_writes_go_on_and_say_it(self):
        self.observed()
        self.found("east", healthy=False)
        changed = self.ok("PATCH", f"{self.place}/web", 202, by="max", body={"labels": {"a": "b"}})
        self.assertTrue(changed["status"]["stale"])
        stopped = self.ok("POST", f"{self.place}/web/actions", 202, by="max", body={"action": "stop"})
        self.assertTrue(stopped["status"]["stale"])
        self.assertTrue(self.ok("DELETE", f"{self.place}/web", 202, by="max")["status"]["stale"])
