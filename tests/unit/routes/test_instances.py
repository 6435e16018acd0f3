from apisvc.compute import base as compute
from apisvc.model import events, instances
from tests.unit.routes import instances_case


class LifeTest(instances_case.InstancesCase):
    def test_created_shown_changed_stopped_deleted(self):
        body = {"image": "host", "flavor": "small", "name": "web", "secret_env": {"PASSWORD": "hunter2"}}
        answer = self.call("POST", self.place, by="max", body=body)
        self.assertEqual(202, answer.status_code, answer.text)
        made = answer.json
        self.assertEqual(f"/v1/tenants/{self.blue.id}/instances/{made['id']}", answer.headers["location"])
        self.assertEqual(f'"{made["revision"]}"', answer.headers["etag"])
        self.assertEqual({"PASSWORD": "***"}, made["spec"]["secret_env"])
        self.assertEqual(("pending", "east"), (made["status"]["state"], made["spec"]["backend"]))
        self.assertEqual(self.users["max"].id, made["created_by"])
        for ref in ("web", made["id"]):
            self.assertEqual(made, self.ok("GET", f"{self.place}/{ref}", by="ria"))
        stale = answer.headers["etag"]
        changed = self.ok(
            "PATCH", f"{self.place}/web", 202, by="max", body={"env": {"A": "1"}}, If_Match=stale
        )
        self.assertEqual((2, {"A": "1"}), (changed["generation"], changed["spec"]["env"]))
        self.refused(412, "PATCH", f"{self.place}/web", by="max", body={"env": {}}, If_Match=stale)
        stopped = self.ok("POST", f"{self.place}/web/actions", 202, by="max", body={"action": "stop"})
        self.assertEqual("stopped", stopped["spec"]["power"])
        self.assertEqual("start it instead.", stopped["actions"]["reboot"]["reason"][-17:])
        gone = self.ok("DELETE", f"{self.place}/web", 202, by="max")
        self.assertIsNotNone(gone["deleted_at"])
        self.assertEqual(gone, self.ok("DELETE", f"{self.place}/web", 202, by="max"))
        self.refused(
            409,
            "POST",
            f"{self.place}/web/actions",
            "apisvc.resource.wrong_state",
            by="max",
            body={"action": "stop"},
        )

    def test_what_is_none_of_the_choices_is_told_them(self):
        self.post(name="web")
        problem = self.refused(400, "POST", f"{self.place}/web/actions", body={"action": "explode"})
        (error,) = problem["errors"]
        self.assertEqual("/action", error["pointer"])
        self.assertEqual("Expected one of start, stop, reboot; got 'explode'.", error["detail"])
        problem = self.refused(400, "GET", f"{self.place}?state=x", pointer="query:state")
        self.assertIn("Expected one of pending, building, active", problem["detail"])

    def test_paths_are_no_ids(self):
        for bad in ("..", "%2e%2e", "a%00", "%ff", ".", "a%0a"):
            self.refused(404, "GET", f"{self.place}/{bad}", pointer="path:instance")

    def test_not_modified(self):
        made = self.post(name="web")
        tag = f'"{made["revision"]}"'
        self.assertEqual(304, self.call("GET", f"{self.place}/web", If_None_Match=tag).status_code)
        self.ok("POST", f"{self.place}/web/actions", 202, body={"action": "stop"})
        self.ok("GET", f"{self.place}/web", If_None_Match=tag)

    def test_the_same_key_is_the_same_instance(self):
        body = {"image": "host", "flavor": "small"}
        first = self.call("POST", self.place, body=body, Idempotency_Key="k")
        again = self.call("POST", self.place, body=body, Idempotency_Key="k")
        self.assertEqual((first.json, 202), (again.json, again.status_code))
        for header in ("etag", "location"):
            self.assertEqual(first.headers[header], again.headers[header])
        self.assertEqual("true", again.headers["idempotency-replayed"])
        self.refused(422, "POST", self.place, body={**body, "name": "x"}, Idempotency_Key="k")

    def test_quota_names_what_is_exceeded(self):
        self.services.quotas.update(self.context(), "blue", {"vcpus": 1})
        self.post()
        problem = self.refused(
            403,
            "POST",
            self.place,
            "apisvc.quota.exceeded",
            by="max",
            body={"image": "host", "flavor": "large"},
        )
        self.assertEqual(
            [{"resource": "vcpus", "limit": 1, "used": 1, "asked": 4, "free": 0}], problem["exceeded"]
        )

    def test_bad_bodies(self):
        good = {"image": "host", "flavor": "small"}
        for fields, pointer in (
            ({"name": "No_Label"}, "/name"),
            ({"name": "00000000-0000-7000-8000-000000000001"}, "/name"),
            ({"image": "none"}, "/image"),
            ({"flavor": 7}, "/flavor"),
            ({"backend": "none"}, "/backend"),
            ({"env": {"1A": "x"}}, "/env"),
            ({"env": {"A": "a\0b"}}, "/env/A"),
            ({"command": "sleep 1"}, "/command"),
            ({"command": ["a\0"]}, "/command/0"),
            ({"ports": [0]}, "/ports/0"),
            ({"labels": {"a=b": "x"}}, "/labels"),
            ({"restart_policy": "sometimes"}, "/restart_policy"),
            ({"ssh_key": "ssh-ed25519 AAAA"}, ""),
            ({"user_data": "x" * 50000}, ""),
            ({"volumes": [0]}, "/volumes/0"),
            ({"privileged": True}, "/privileged"),
            ({"env": {f"A{n}": "" for n in range(129)}}, "/env"),
        ):
            with self.subTest(fields=str(fields)[:60]):
                problem = self.refused(400, "POST", self.place, by="max", body={**good, **fields})
                pointers = [error["pointer"] for error in problem["errors"]]
                self.assertTrue(any(found.startswith(pointer) for found in pointers), problem)
        self.refused(400, "POST", f"{self.place}/x/actions", by="max", body={"action": "explode"})

    def test_what_a_backend_cannot_do(self):
        self.post(name="web", backend="bare")
        problem = self.refused(
            409, "POST", f"{self.place}/web/actions", "apisvc.backend.unsupported", body={"action": "stop"}
        )
        self.assertIn("bare", problem["detail"])
        self.refused(409, "GET", f"{self.place}/web/logs", "apisvc.backend.unsupported")
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpG0wGJUHnPrG6QTVp1ARaR7SxvS7SQVL80BkXSq4s2"
        body = {"ssh_key": key, "networks": ["a"]}
        code = "apisvc.backend.unsupported"
        problem = self.refused(409, "PATCH", f"{self.place}/web", code, "/ssh_key", body=body, by="max")
        self.assertIn("networks, ssh_key", problem["detail"])


class ListTest(instances_case.InstancesCase):
    def test_pages_and_filters(self):
        for n in range(5):
            self.post(name=f"i{n}", labels={"parity": str(n % 2)})
        seen, path = [], f"{self.place}?limit=2"
        while path:
            answer = self.call("GET", path, by="ria")
            seen += [found["name"] for found in answer.json["instances"]]
            path = answer.json["next"] and answer.json["next"].removeprefix("/v1")
        self.assertEqual([f"i{n}" for n in range(5)], seen)
        for query, wanted in (
            ("label=parity%3D1", ["i1", "i3"]),
            ("name=i4", ["i4"]),
            ("state=active", []),
            ("state=active&state=pending&name=i0", ["i0"]),
            ("flavor=large", []),
            (f"image={self.host.id}&label=parity%3D0", ["i0", "i2", "i4"]),
        ):
            found = self.ok("GET", f"{self.place}?{query}", by="ria")["instances"]
            self.assertEqual(wanted, [one["name"] for one in found], query)

    def test_garbage_is_pointed_at(self):
        for query, pointer in (
            ("marker=zzz", "query:marker"),
            ("limit=0", "query:limit"),
            ("limit=x", "query:limit"),
            ("state=sleepy", "query:state"),
            ("colour=red", "query:colour"),
        ):
            self.refused(400, "GET", f"{self.place}?{query}", pointer=pointer)

    def test_all_and_ones_own(self):
        self.post(name="of-max")
        self.post(name="of-mia", by="mia")
        red = {"image": "host", "flavor": "small", "name": "of-rob"}
        self.ok("POST", "/tenants/red/instances", 202, by="rob", body=red)

        def names(path, by):
            return {found["name"] for found in self.ok("GET", path, by=by)["instances"]}

        self.assertEqual({"of-max", "of-mia", "of-rob"}, names("/admin/instances", "root"))
        self.assertEqual({"of-rob"}, names("/admin/instances?tenant=red", "root"))
        self.assertEqual({"of-max"}, names("/user/instances", "max"))
        self.assertEqual({"of-max", "of-mia"}, names(self.place, "ria"))
        self.refused(404, "GET", "/admin/instances?tenant=nothing")
        self.refused(403, "GET", "/admin/instances", by="mia")


class IsolationTest(instances_case.InstancesCase):
    def test_what_is_anothers_is_not_there(self):
        made = self.post(name="web")
        self.run_it(made)
        for ref in ("web", made["id"]):
            for tenant in ("blue", self.blue.id, "red"):
                one = f"/tenants/{tenant}/instances/{ref}"
                for method, path, body in (
                    ("GET", one, None),
                    ("PATCH", one, {"description": "x"}),
                    ("DELETE", one, None),
                    ("POST", f"{one}/actions", {"action": "stop"}),
                    ("GET", f"{one}/logs", None),
                    ("GET", f"{one}/events", None),
                ):
                    self.refused(404, method, path, by="rob", body=body)

    def test_a_foreign_tenant_is_told_as_one_that_is_not_there(self):
        for rest in ("instances", "flavors", "images", "backends", "events"):
            foreign = self.refused(404, "GET", f"/tenants/blue/{rest}", by="rob")
            missing = self.refused(404, "GET", f"/tenants/none/{rest}", by="rob")
            self.assertEqual(missing["detail"].replace("none", "blue"), foreign["detail"])

    def test_a_reader_only_reads(self):
        self.post(name="web")
        for method, path, body in (
            ("POST", self.place, {"image": "host", "flavor": "small"}),
            ("PATCH", f"{self.place}/web", {"description": "x"}),
            ("DELETE", f"{self.place}/web", None),
            ("POST", f"{self.place}/web/actions", {"action": "stop"}),
        ):
            self.refused(403, method, path, "apisvc.policy.denied", by="ria", body=body)

    def test_without_a_token(self):
        self.refused(401, "GET", self.place, by=None)


class LogsTest(instances_case.InstancesCase):
    def test_read_and_followed(self):
        made = self.post(name="web")
        self.refused(404, "GET", f"{self.place}/web/logs")
        self.run_it(made)
        with self.stream(f"{self.place}/web/logs", query="tail=10") as (status, headers, chunks):
            self.assertEqual((200, "text/plain; charset=utf-8"), (status, headers["content-type"]))
            whole = b"".join(chunks)
        with self.stream(f"{self.place}/web/logs", query="follow=true") as (status, _, chunks):
            self.assertEqual(200, status)
            if whole:
                self.assertIn(next(chunks)[:10], whole)

    def test_since_a_moment_and_of_the_run_before(self):
        self.run_it(self.post(name="web"))
        logs = f"{self.place}/web/logs"
        self.assertTrue(self.call("GET", f"{logs}?since=2026-11-22T08:15:30Z").text)
        self.assertEqual("", self.call("GET", f"{logs}?since=2126-11-22T08:15:30%2B01:00").text)
        self.refused(404, "GET", f"{logs}?previous=true")
        for wrong in ("2026-11-22T08:15:30", "yesterday"):
            self.refused(400, "GET", f"{logs}?since={wrong}", pointer="query:since")

    def test_a_driver_without_times_says_so(self):
        self.run_it(self.post(name="web"))
        self.drivers["east"].script.fail(compute.InvalidSpec("No times."), on="logs", times=None)
        problem = self.refused(
            409, "GET", f"{self.place}/web/logs?previous=true", "apisvc.backend.unsupported"
        )
        self.assertIn("No times.", problem["detail"])

    def test_bad_queries(self):
        self.post(name="web")
        self.refused(400, "GET", f"{self.place}/web/logs?tail=-1", pointer="query:tail")

    def test_a_backend_that_is_down(self):
        made = self.post(name="web")
        self.run_it(made)
        self.drivers["east"].script.outage()
        problem = self.refused(503, "GET", f"{self.place}/web/logs", "apisvc.backend.unavailable")
        self.assertIn("east", problem["detail"])


class NodeTest(instances_case.InstancesCase):
    """Where it runs is for admins: in views, lists and events."""

    def test_who_sees_the_node(self):
        self.post(name="web")
        self.settle("web", instances.State.ACTIVE, self.blue)
        for place in (f"{self.place}/web", self.place, "/user/instances"):
            self.assertNotIn("node-7", self.call("GET", place, by="max").text, place)
        self.assertEqual("node-7", self.ok("GET", f"{self.place}/web")["status"]["node"])
        self.assertIn("node-7", self.call("GET", "/admin/instances").text)

    def test_who_sees_it_in_events(self):
        made = self.post(name="web")

        def work(txn):
            target = events.Target(kind="instance", id=made["id"], name="web")
            txn.event("instance.state", target, tenant_id=self.blue.id, node="node-7", state="active")

        self.services.transactor.transact(self.context(), work)
        place = f"/tenants/{self.blue.id}/events"
        for path in (place, f"{self.place}/web/events"):
            told = self.ok("GET", path, by="max")["events"][-1]
            self.assertEqual({"state": "active"}, told["detail"])
            self.assertEqual("node-7", self.ok("GET", path)["events"][-1]["detail"]["node"])
        for by, shown in (("max", False), ("root", True)):
            with self.stream(place, by=by, query="follow=true&after=0") as (_, _, chunks):
                told = b""
                while b"instance.state" not in told:
                    told += next(chunks)
            self.assertEqual(shown, b"node-7" in told)
