import testtools
from cryptography import fernet

from apisvc import errors
from apisvc.model import instances, tenants
from apisvc.service import secrets, workloads


def an_instance(**spec):
    return instances.Instance(
        id="i1",
        tenant_id="t1",
        name="web",
        labels={"tier": "front"},
        spec=instances.Spec(
            backend="local",
            image_id="m1",
            image="host",
            image_ref="host-ref",
            flavor_id="f1",
            flavor="small",
            vcpus=2,
            ram_mb=512,
            disk_gb=3,
            **spec,
        ),
        status=instances.Status(handle="pid-1"),
        created_at=1.0,
        updated_at=1.0,
        created_by="u1",
    )


TENANT = tenants.Tenant(
    id="t1", name="acme", quota=tenants.Amounts(instances=5, vcpus=-1), created_at=1.0, updated_at=1.0
)


class WorkloadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.box = secrets.SecretBox([fernet.Fernet.generate_key()])

    def test_carries_everything_a_driver_needs(self):
        instance = an_instance(
            command=("sleep",),
            args=("60",),
            env={"A": "1"},
            ports=(80,),
            restart_policy=instances.RestartPolicy.NEVER,
            power=instances.Power.STOPPED,
            reboots=2,
        )
        found = workloads.workload(instance, TENANT, self.box)
        self.assertEqual(
            ("i1", "web", "host-ref", "small"), (found.id, found.name, found.image, found.flavor)
        )
        self.assertEqual((2, 512, 3), (found.vcpus, found.ram_mb, found.disk_gb))
        self.assertEqual((("sleep",), ("60",), {"A": "1"}), (found.command, found.args, found.env))
        self.assertEqual(("never", "stopped", 2), (found.restart_policy, found.power, found.reboots))
        self.assertEqual(("pid-1", instance.spec.hash), (found.handle, found.spec_hash))
        self.assertEqual({"instances": 5, "vcpus": -1, "ram_mb": 0, "disk_gb": 0}, found.tenant.limits)

    def test_secrets_are_sealed_in_the_record_and_open_in_the_workload(self):
        sealed = {"PASSWORD": workloads.seal("hunter2 ✓", self.box)}
        self.assertNotIn("hunter2", repr(sealed))
        found = workloads.workload(an_instance(secret_env=sealed), TENANT, self.box)
        self.assertEqual({"PASSWORD": "hunter2 ✓"}, found.secret_env)
        self.assertNotIn("hunter2", repr(found))

    def test_a_lost_key_is_an_error_that_says_so(self):
        sealed = {"PASSWORD": workloads.seal("x", self.box)}
        other = secrets.SecretBox([fernet.Fernet.generate_key()])
        error = self.assertRaises(
            errors.Unavailable, workloads.workload, an_instance(secret_env=sealed), TENANT, other
        )
        self.assertIn("key", error.detail)
