import base64

import msgspec

from apisvc import errors
from apisvc.model import keys
from apisvc.schemas import instances, machines
from apisvc.service import workloads
from tests.unit.service import instances_case

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpG0wGJUHnPrG6QTVp1ARaR7SxvS7SQVL80BkXSq4s2 ann@example.org"
MACHINE = {
    "ssh_key": KEY,
    "user_data": "#cloud-config\npassword: hunter2\n",
    "networks": ("internal",),
    "security_groups": ("web",),
    "public_address": True,
    "volumes": (3, 4),
}


class MachineTest(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.made = self.create(name="vm", backend="east", **MACHINE).result

    def workload(self, instance):
        return workloads.workload(instance, self.acme, self.box)

    def test_all_of_it_comes_to_the_driver(self):
        told = self.workload(self.made)
        self.assertEqual(MACHINE, {name: getattr(told, name) for name in MACHINE})
        self.assertEqual(1, told.disk_gb)

    def test_volumes_count_as_disk(self):
        self.assertEqual(self.amounts(1, 1, 100, 8), self.used())
        error = self.assertRaises(errors.QuotaExceeded, self.create, backend="east", volumes=(20, 22))
        (exceeded,) = error.extensions["exceeded"]
        self.assertEqual(("disk_gb", 43, 42), tuple(exceeded[n] for n in ("resource", "asked", "free")))
        self.update("vm", flavor="large")
        self.assertEqual(self.amounts(1, 4, 300, 27), self.used())

    def test_user_data_is_a_secret(self):
        found = self.instances.get(self.as_ann(), self.acme.id, "vm")
        view = self.instances.view(self.as_ann(), found)
        self.assertEqual(("***", KEY), (view.spec.user_data, view.spec.ssh_key))
        self.update("vm", user_data="password: hunter3")
        stored = b"".join(self.raw().values())
        for word in (b"hunter2", b"hunter3"):
            self.assertNotIn(word, stored + msgspec.json.encode(view))
        events = b"".join(value for key, value in self.raw().items() if key.startswith(keys.EVENTS))
        now = self.instances.get(self.as_ann(), self.acme.id, "vm").value
        for sealed in (self.made.spec.user_data, now.spec.user_data):
            self.assertNotIn(sealed.encode(), events)
        self.assertEqual({"from": "***", "to": "***"}, self.events()[-1].detail["changes"]["user_data"])
        self.assertEqual("password: hunter3", self.workload(now).user_data)

    def test_the_same_user_data_again_changes_nothing(self):
        before = self.raw()
        self.assertEqual(self.made, self.update("vm", user_data=MACHINE["user_data"]).result)
        self.assertEqual(before, self.raw())
        self.assertEqual("", self.update("vm", user_data="").result.spec.user_data)

    def test_a_change_of_them_is_a_new_generation(self):
        for number, (name, value) in enumerate(
            [
                ("ssh_key", ""),
                ("networks", ("other",)),
                ("security_groups", ()),
                ("public_address", False),
            ],
            start=2,
        ):
            changed = self.update("vm", **{name: value}).result
            self.assertEqual((value, number), (getattr(changed.spec, name), changed.generation))
            self.assertIn(name, self.events()[-1].detail["changes"])

    def test_what_the_driver_does_not_honour_is_refused(self):
        self.create(name="plain", backend="bare")
        before = self.raw()
        error = self.assertRaises(errors.Unsupported, self.update, "plain", ssh_key=KEY, public_address=True)
        self.assertEqual("apisvc.backend.unsupported", error.code)
        self.assertEqual(["/public_address", "/ssh_key"], [one.pointer for one in error.errors])
        self.assertEqual(before, self.raw())
        self.update("plain", ssh_key="", env={"A": "1"})


class ShapeTest(instances_case.InstancesCase):
    def refused(self, **fields):
        for kind, rest in (
            (instances.InstanceCreate, {"image": "host", "flavor": "small"}),
            (instances.InstanceUpdate, {}),
        ):
            with self.subTest(kind=kind.__name__):
                error = self.assertRaises(msgspec.ValidationError, msgspec.convert, {**rest, **fields}, kind)
        return str(error)

    def test_what_is_no_public_key(self):
        self.assertIn("matching regex", self.refused(ssh_key="-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"))
        for text in ("good morning", "ssh-ed25519 BBBB", f'command="rm" {KEY}', "ssh-rsa " + KEY.split()[1]):
            told = self.refused(ssh_key=text)
            self.assertIn("is not a public SSH key", told)
            self.assertNotIn(text, told)

    def test_user_data_is_bounded_as_clouds_bound_it(self):
        most = machines.MAX_USER_DATA // 4 * 3
        self.assertEqual(machines.MAX_USER_DATA // 4 * 4, len(base64.b64encode(b"x" * most)))
        machines.check_user_data("x" * most)
        self.assertIn("at most 65535", self.refused(user_data="x" * (most + 1)))
        self.assertIn("at most 65535", self.refused(user_data="\u20ac" * (most // 3 + 1)))

    def test_volumes_are_made_with_it_and_stay(self):
        for volumes in ([0], [70000], [1] * 17):
            self.assertRaises(
                msgspec.ValidationError,
                msgspec.convert,
                {"image": "host", "flavor": "small", "volumes": volumes},
                instances.InstanceCreate,
            )
        error = self.assertRaises(
            msgspec.ValidationError, msgspec.convert, {"volumes": [1]}, instances.InstanceUpdate
        )
        self.assertIn("unknown field `volumes`", str(error))
