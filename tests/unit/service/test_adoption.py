from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import identity, instances
from apisvc.service import consistency, workloads
from tests.unit.service import instances_case


class AdoptionTest(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.rules = self.services.adoption
        self.east = self.drivers["east"]
        self.root = self.context(identity.Identity(user_id="r", user_name="root", admin=True))

    def stray(self, handle="vm-1", **fields):
        return self.east.add_stray(handle, **fields)

    def adopt(self, stray, tenant="acme", **kw):
        return self.rules.adopt(self.root, tenant, "east", stray, **kw)

    def test_record_ledger_and_event_are_one(self):
        stray = self.stray(
            name="Web_1.example", image="nginx:1", vcpus=2, ram_mb=300, disk_gb=7, env={"A": "1"}
        )
        made = self.adopt(stray).instance
        found = self.instances.get(self.root, self.acme.id, "web-1-example").value
        self.assertEqual(made, found)
        self.assertEqual(self.amounts(1, 2, 300, 7), self.used())
        told = workloads.workload(found, self.acme, self.box)
        wanted = ("nginx:1", 2, 300, 7, "", {"A": "1"}, "running")
        self.assertEqual(
            wanted,
            (told.image, told.vcpus, told.ram_mb, told.disk_gb, told.flavor, told.env, told.power),
        )
        event = self.events()[-1]
        self.assertEqual(("instance.adopt", "vm-1"), (event.action, event.detail["handle"]))
        self.assertEqual([], consistency.check(self.store)[1])

    def test_flavor_and_image_are_those_of_the_catalogue_that_fit(self):
        spec = self.adopt(self.stray(image="busybox", vcpus=1, ram_mb=100, disk_gb=1)).instance.spec
        self.assertEqual(("small", self.small.id), (spec.flavor, spec.flavor_id))
        self.assertEqual(("host", self.host.id, "busybox"), (spec.image, spec.image_id, spec.image_ref))
        spec = self.adopt(self.stray("vm-2", image="other", vcpus=3)).instance.spec
        self.assertEqual(("", "", "other", ""), (spec.flavor, spec.flavor_id, spec.image, spec.image_id))

    def test_what_is_at_rest_is_left_so(self):
        for number, phase in enumerate((compute.Phase.STOPPED, compute.Phase.EXITED)):
            spec = self.adopt(self.stray(f"vm-{number}", phase=phase)).instance.spec
            self.assertEqual(instances.Power.STOPPED, spec.power)

    def test_a_name_that_is_taken_or_none(self):
        self.create(name="web")
        names = [
            self.adopt(self.stray(f"vm-{number}", name=name)).instance.name
            for number, name in enumerate(("web", "???", "0198c5a2-7d3e-7c41-9f0a-3b5d8e2a6c11", "x" * 80))
        ]
        self.assertRegex(names[0], r"^web-[0-9a-f]{12}$")
        self.assertRegex(names[1] + names[2], r"^(instance-[0-9a-f]{12}){2}$")
        self.assertEqual("x" * 63, names[3])

    def test_the_quota_counts(self):
        stray = self.stray(vcpus=21)
        before = self.raw()
        self.assertRaises(errors.QuotaExceeded, self.adopt, stray)
        self.assertEqual(before, self.raw())

    def test_no_object_belongs_to_two(self):
        self.tenant("other")
        stray = self.stray()
        made = self.adopt(stray).instance
        for tenant in ("acme", "other"):
            error = self.assertRaises(errors.AlreadyExists, self.adopt, stray, tenant)
            self.assertIn(made.id, error.detail)
        self.assertEqual(made.id, self.rules.taken_by(self.root, "east", "vm-1"))
        self.assertEqual([], self.rules.strays(self.root, "east"))
        two = self.stray("vm-2")
        results = self.at_once([lambda name=name: self.adopt(two, name) for name in ("acme", "other")])
        self.assertEqual(1, sum(isinstance(one, errors.AlreadyExists) for one in results), results)

    def test_a_rehearsal_writes_nothing_and_raises_the_same(self):
        stray = self.stray()
        before = self.raw()
        self.assertEqual("vm-1", self.adopt(stray, rehearse=True).instance.name)
        self.assertRaises(errors.QuotaExceeded, self.adopt, self.stray("vm-2", disk_gb=99), rehearse=True)
        self.assertEqual(before, self.raw())

    def test_where_it_cannot_be(self):
        stray = self.stray()
        self.assertRaises(errors.NotFound, self.adopt, stray, "nobody")
        self.assertRaises(errors.NotFound, self.rules.strays, self.root, "north")
        self.assertRaises(errors.Unsupported, self.rules.strays, self.root, "bare")
        self.east.script.fail(compute.Unavailable, on="strays")
        self.assertRaises(errors.BackendUnavailable, self.rules.strays, self.root, "east")
        self.services.tenants.update(self.root, "acme", {"state": "disabled"})
        self.assertRaises(errors.WrongState, self.adopt, stray)

    def test_until_it_is_adopted_it_cannot_be_another(self):
        made = self.adopt(self.stray()).instance
        error = self.assertRaises(errors.WrongState, self.update, made.name, env={"A": "1"})
        self.assertIn("being adopted", error.detail)
        self.update(made.name, labels={"a": "1"})
        self.act(made.name, "stop")
        self.instances.delete(self.root, self.acme.id, made.name)
