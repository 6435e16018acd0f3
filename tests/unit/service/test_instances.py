"""Instances are created, updated, acted on and deleted: what is written, and what is refused."""

import msgspec

from apisvc import errors
from apisvc.model import backends, instances, keys
from apisvc.schemas import backends as backend_schemas
from apisvc.schemas import instances as schemas
from apisvc.service import transaction, workloads
from tests.unit.service import instances_case


class CreateTest(instances_case.InstancesCase):
    def test_everything_is_written_in_one_commit(self):
        before = self.store.revision()
        done = self.create(name="web", labels={"tier": "front"})
        self.assertEqual(before + 1, done.revision)
        instance = done.result
        self.assertEqual(
            {
                keys.join(keys.INSTANCES, self.acme.id, instance.id),
                keys.join(keys.INSTANCE_NAMES, self.acme.id, "web"),
                keys.join(keys.INSTANCE_TENANTS, instance.id),
                keys.join(keys.LEDGERS, self.acme.id),
            },
            {r.key for r in self.store.scan("").records if r.revision == done.revision}
            - {k for k in self.raw() if k.startswith(keys.EVENTS)},
        )
        self.assertEqual(instances.State.PENDING, instance.status.state)
        self.assertEqual(self.ann.user_id, instance.created_by)
        self.assertEqual(self.amounts(1, 1, 100, 1), self.used())
        event = self.events()[-1]
        self.assertEqual("instance.create", event.action)
        self.assertEqual({"instances": 1, "vcpus": 1, "ram_mb": 100, "disk_gb": 1}, event.detail["amounts"])

    def test_the_spec_is_resolved_and_frozen(self):
        spec = self.create().result.spec
        self.assertEqual(
            ("east", "busybox", "host", "small"), (spec.backend, spec.image_ref, spec.image, spec.flavor)
        )
        self.services.images.delete(self.context(), "host")
        self.services.flavors.delete(self.context(), "small")
        [found] = self.instances.list(self.as_ann(), self.acme.id, schemas.InstanceQuery(), self.page()).items
        self.assertEqual(spec, found.value.spec)

    def test_a_reference_for_the_backend_itself_goes_before_that_of_its_driver(self):
        self.image("special", east="mine", fake="any")
        self.assertEqual("mine", self.create(image="special").result.spec.image_ref)
        self.assertEqual("any", self.create(image="special", backend="west").result.spec.image_ref)

    def test_without_a_name_one_is_made(self):
        first, second = self.create().result, self.create().result
        self.assertEqual(f"instance-{first.id[-12:]}", first.name)
        self.assertNotEqual(first.name, second.name)

    def test_a_name_is_unique_in_its_tenant_only(self):
        other = self.tenant("other")
        self.create(name="web")
        self.assertRaises(errors.AlreadyExists, self.create, name="web")
        self.assertEqual("web", self.create(name="web", tenant=other).result.name)
        self.assertEqual(1, self.used().instances)

    def test_what_is_not_there_is_pointed_at(self):
        for field in ("image", "flavor", "backend"):
            error = self.assertRaises(errors.InvalidRequest, self.create, **{field: "nothing"})
            self.assertEqual(f"/{field}", error.errors[0].pointer)

    def test_a_backend_that_takes_nothing_new_is_passed_over_and_refused_by_name(self):
        body = backend_schemas.BackendUpdate(state=backends.BackendState.DRAINING)
        self.services.backends.update(self.context(), "east", body)
        self.assertEqual("west", self.create().result.spec.backend)
        error = self.assertRaises(errors.NoBackend, self.create, backend="east")
        self.assertEqual([{"backend": "east", "reason": "it is draining"}], error.extensions["rejected"])

    def test_no_backend_says_why_not_for_each(self):
        self.image("odd", bare="plain")
        self.services.backends.update(
            self.context(), "bare", backend_schemas.BackendUpdate(state=backends.BackendState.DISABLED)
        )
        error = self.assertRaises(errors.NoBackend, self.create, image="odd")
        self.assertEqual(["east", "west", "bare"], [r["backend"] for r in error.extensions["rejected"]])

    def test_nothing_new_in_a_tenant_that_is_not_enabled(self):
        self.services.tenants.update(self.context(), "acme", {"state": "disabled"})
        self.assertRaises(errors.WrongState, self.create)
        self.assertRaises(errors.NotFound, self.create, tenant=self.acme_gone())

    def acme_gone(self):
        return msgspec.structs.replace(self.acme, id=self.services.transactor.ids.new())


class UpdateTest(instances_case.InstancesCase):
    def test_another_flavor_moves_the_ledger_by_the_difference(self):
        self.create(name="web")
        done = self.update("web", flavor="large")
        self.assertEqual(
            (4, 300, 20), (done.result.spec.vcpus, done.result.spec.ram_mb, done.result.spec.disk_gb)
        )
        self.assertEqual(self.amounts(1, 4, 300, 20), self.used())
        self.assertEqual(2, done.result.generation)
        self.update("web", flavor="small")
        self.assertEqual(self.amounts(1, 1, 100, 1), self.used())

    def test_a_larger_flavor_is_held_against_the_quota_and_a_smaller_one_is_not(self):
        self.create(name="web", flavor="large")
        self.services.quotas.update(self.context(), "acme", {"vcpus": 2, "disk_gb": 25})
        self.flavor("larger", vcpus=4, ram_mb=300, disk_gb=26)
        error = self.assertRaises(errors.QuotaExceeded, self.update, "web", flavor="larger")
        self.assertEqual(
            [{"resource": "disk_gb", "limit": 25, "used": 20, "asked": 6, "free": 5}],
            error.extensions["exceeded"],
        )
        self.update("web", flavor="small")
        self.assertEqual(1, self.used().vcpus)

    def test_names_and_labels_are_no_new_generation(self):
        created = self.create(name="web")
        done = self.update("web", name="front", description="d", labels={"a": "b"})
        self.assertEqual(
            (1, "front", {"a": "b"}), (done.result.generation, done.result.name, done.result.labels)
        )
        self.assertRaises(errors.NotFound, self.instances.get, self.as_ann(), self.acme.id, "web")
        found = self.instances.get(self.as_ann(), self.acme.id, "front")
        self.assertEqual((created.result.id, done.revision), (found.value.id, found.revision))
        self.assertEqual({"from": "web", "to": "front"}, self.events()[-1].detail["changes"]["name"])
        self.create(name="web")
        self.assertRaises(errors.AlreadyExists, self.update, "front", name="web")

    def test_what_is_so_already_writes_nothing(self):
        created = self.create(name="web", env={"A": "1"}, secret_env={"S": "x"})
        before = self.raw()
        done = self.update("web", name="web", env={"A": "1"}, secret_env={"S": "x"}, image="host")
        self.assertEqual((created.result, created.revision), (done.result, done.revision))
        self.assertEqual(before, self.raw())

    def test_an_image_needs_a_reference_for_the_backend_it_is_on(self):
        self.create(name="web")
        self.image("other", fake="alpine")
        self.assertEqual("alpine", self.update("web", image="other").result.spec.image_ref)
        self.image("odd", bare="plain")
        self.assertRaises(errors.NoBackend, self.update, "web", image="odd")
        error = self.assertRaises(errors.InvalidRequest, self.update, "web", image="none")
        self.assertEqual("/image", error.errors[0].pointer)

    def test_if_match(self):
        created = self.create(name="web")
        self.update("web", ctx=self.as_ann(if_match=created.revision), description="a")
        for change in (
            lambda ctx: self.update("web", ctx=ctx, description="b"),
            lambda ctx: self.act("web", "stop", ctx=ctx),
            lambda ctx: self.instances.delete(ctx, self.acme.id, "web"),
        ):
            self.assertRaises(errors.PreconditionFailed, change, self.as_ann(if_match=created.revision))

    def test_environments_must_not_meet_nor_grow_without_bound(self):
        self.create(name="web", env={"A": "1"})
        error = self.assertRaises(errors.InvalidRequest, self.update, "web", secret_env={"A": "2"})
        self.assertIn("A: in env and in secret_env", error.detail)
        self.assertRaises(errors.InvalidRequest, self.update, "web", env={"B": "x" * schemas.MAX_TEXT})
        for n in range(2):
            self.update("web", secret_env={f"S{n}_{i}": "" for i in range(63)})
        self.assertRaises(errors.InvalidRequest, self.update, "web", secret_env={"X": "", "Y": ""})


class SecretTest(instances_case.InstancesCase):
    def test_no_secret_is_in_the_store_the_events_or_the_views(self):
        created = self.create(name="web", secret_env={"PASSWORD": "hunter2", "OTHER": "hunter3"})
        self.update("web", secret_env={"PASSWORD": "hunter4", "OTHER": None})
        found = self.instances.get(self.as_ann(), self.acme.id, "web")
        sealed = found.value.spec.secret_env["PASSWORD"]
        view = msgspec.json.encode(self.instances.view(self.as_ann(), found))
        stored = b"".join(self.raw().values())
        events = b"".join(v for k, v in self.raw().items() if k.startswith(keys.EVENTS))
        for text in (b"hunter2", b"hunter3", b"hunter4"):
            self.assertNotIn(text, stored + view)
        self.assertNotIn(sealed.encode(), events + view)
        self.assertEqual({"PASSWORD": "***"}, self.instances.view(self.as_ann(), found).spec.secret_env)
        self.assertEqual({"names": ["OTHER", "PASSWORD"]}, self.events()[-1].detail["changes"]["secret_env"])
        self.assertNotEqual(created.result.spec.hash, found.value.spec.hash)
        workload = workloads.workload(found.value, self.acme, self.box)
        self.assertEqual({"PASSWORD": "hunter4"}, workload.secret_env)


class ActionTest(instances_case.InstancesCase):
    def test_stop_start_reboot(self):
        self.create(name="web")
        stopped = self.act("web", "stop").result
        self.assertEqual((instances.Power.STOPPED, 2), (stopped.spec.power, stopped.generation))
        started = self.act("web", "start").result
        self.assertEqual((instances.Power.RUNNING, 3), (started.spec.power, started.generation))
        rebooted = self.act("web", "reboot").result
        self.assertEqual((1, 4), (rebooted.spec.reboots, rebooted.generation))
        self.assertEqual(["instance.stop", "instance.start", "instance.reboot"], self.actions()[-3:])

    def test_what_is_so_already_is_accepted_and_writes_nothing(self):
        created = self.create(name="web")
        before = self.raw()
        done = self.act("web", "start")
        self.assertEqual((created.revision, created.result), (done.revision, done.result))
        self.assertEqual(before, self.raw())

    def test_so_already_with_a_key_is_remembered_at_the_revision_it_tells(self):
        self.create(name="web")
        done = self.act("web", "start", ctx=self.replayable())
        found = self.instances.get(self.as_ann(), self.acme.id, "web")
        record = self.store.get(["replays/k"]).records["replays/k"]
        self.assertEqual({done.revision}, {found.revision, record.revision})
        self.assertRaises(transaction.Replayed, self.act, "web", "start", self.replayable())

    def test_start_again_what_ended_by_itself(self):
        self.create(name="web")
        self.settle("web", instances.State.STOPPED)
        again = self.act("web", "start").result
        self.assertEqual((2, 0), (again.generation, again.spec.reboots))
        # Once: the worker has not come to it yet.
        self.assertEqual(2, self.act("web", "start").result.generation)

    def test_no_reboot_of_what_is_stopped(self):
        self.create(name="web")
        self.act("web", "stop")
        self.assertRaises(errors.WrongState, self.act, "web", "reboot")

    def test_a_backend_without_power_says_so(self):
        self.create(name="web", backend="bare")
        error = self.assertRaises(errors.Unsupported, self.act, "web", "stop")
        self.assertIn("'bare'", error.detail)

    def test_in_a_disabled_tenant_things_can_only_stop(self):
        self.create(name="web")
        self.create(name="other")
        self.services.tenants.update(self.context(), "acme", {"state": "disabled"})
        self.act("web", "stop")
        self.assertRaises(errors.WrongState, self.act, "web", "start")
        self.assertRaises(errors.WrongState, self.update, "web", env={"A": "1"})
        self.instances.delete(self.as_ann(), self.acme.id, "web")


class DeleteTest(instances_case.InstancesCase):
    def test_the_wish_is_recorded_once_and_the_ledger_waits(self):
        self.create(name="web")
        done = self.instances.delete(self.as_ann(), self.acme.id, "web")
        self.assertIsNotNone(done.result.deleted_at)
        self.assertEqual(2, done.result.generation)
        before = self.raw()
        again = self.instances.delete(self.as_ann(), self.acme.id, "web")
        self.assertEqual((done.result, done.revision), (again.result, again.revision))
        self.assertEqual(before, self.raw())
        self.assertEqual(1, self.used().instances)

    def test_from_then_on_nothing_else_is_possible(self):
        self.create(name="web")
        self.instances.delete(self.as_ann(), self.acme.id, "web")
        self.assertRaises(errors.WrongState, self.update, "web", description="x")
        self.assertRaises(errors.WrongState, self.act, "web", "stop")
        self.assertRaises(errors.AlreadyExists, self.create, name="web")
