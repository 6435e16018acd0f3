"""The service layer with a catalogue, a tenant, and backends that can and cannot do things."""

import threading
import time

import msgspec
from cryptography import fernet

from apisvc.compute import base as compute
from apisvc.compute import fake
from apisvc.model import codec, identity, keys, tenants
from apisvc.schemas import flavors, images, instances
from apisvc.service import context, secrets, services
from apisvc.storage import base as storage
from apisvc.testing import backends
from tests.unit.service import accounts


class BareDriver(compute.ComputeDriver):
    """Does what it must and nothing else."""

    contract = compute.CONTRACT

    def check(self, *, deadline):
        return compute.Health(version="bare")

    def ensure_tenant(self, tenant, *, deadline):
        raise compute.Unavailable()

    def remove_tenant(self, tenant_id, *, deadline):
        return True

    def ensure(self, workload, *, deadline):
        raise compute.Unavailable()

    def observe(self, ids=None, *, deadline):
        return ()

    def delete(self, instance_id, tenant_id, *, deadline):
        return True


class InstancesCase(accounts.AccountsCase):
    """``east`` and ``west`` are of the fake driver, ``bare`` can nothing; ann is a member of ``acme``."""

    def setUp(self):
        super().setUp()
        self.drivers = {
            "east": fake.FakeDriver(backends.context(fake.FakeDriver, state_dir="", name="east")),
            "west": fake.FakeDriver(backends.context(fake.FakeDriver, state_dir="", name="west")),
            "bare": BareDriver(backends.context(BareDriver, state_dir="", name="bare")),
        }
        kinds = {"east": "fake", "west": "fake", "bare": "bare"}
        self.loaded = {
            name: compute.LoadedBackend(name, kinds[name], driver) for name, driver in self.drivers.items()
        }
        for driver in self.drivers.values():
            self.addCleanup(driver.close)
        self.box = secrets.SecretBox([fernet.Fernet.generate_key()])
        # Real ids and a clock that agrees with them: events are searched by the time in their ids.
        self.clock.at = time.time()
        self.services = self.process()
        self.instances = self.services.instances
        self.acme = self.tenant("acme", quota={"instances": 10, "vcpus": 20, "ram_mb": 1000, "disk_gb": 50})
        self.ann = self.person("ann")
        self.small = self.flavor("small", vcpus=1, ram_mb=100, disk_gb=1)
        self.large = self.flavor("large", vcpus=4, ram_mb=300, disk_gb=20)
        self.host = self.image("host", fake="busybox", bare="plain")

    def process(self):
        """The services of another process on the same store."""
        return services.build(self.conf, self.store, self.box, self.loaded, self.clock, context.Ids())

    def person(self, name, tenant=None):
        """The Identity of a new member."""
        user = self.user(name)
        self.member(tenant or self.acme, user)
        return identity.Identity(user_id=user.id, user_name=name)

    def flavor(self, name, **amounts):
        return self.services.flavors.create(self.context(), flavors.FlavorCreate(name=name, **amounts)).result

    def image(self, name, **references):
        body = images.ImageCreate(name=name, references=references)
        return self.services.images.create(self.context(), body).result

    def as_ann(self, **kw):
        return self.context(self.ann, **kw)

    def create(self, ctx=None, tenant=None, by=None, **fields):
        """An instance, as Committed; ``by`` the services of another process."""
        body = instances.InstanceCreate(**{"image": "host", "flavor": "small", **fields})
        return (by or self.services).instances.create(ctx or self.as_ann(), (tenant or self.acme).id, body)

    def update(self, ref, ctx=None, **fields):
        return self.instances.update(
            ctx or self.as_ann(), self.acme.id, ref, instances.InstanceUpdate(**fields)
        )

    def act(self, ref, action, ctx=None):
        return self.instances.act(ctx or self.as_ann(), self.acme.id, ref, instances.Action(action))

    def settle(self, ref, state, tenant=None):
        """What the worker does when it has come to ``state``."""
        place = (tenant or self.acme).id
        found = self.instances.get(self.as_ann(), place, ref)
        status = msgspec.structs.replace(
            found.value.status, state=state, node="node-7", observed_generation=found.value.generation
        )
        key = keys.join(keys.INSTANCES, place, found.value.id)
        record = msgspec.structs.replace(found.value, status=status)
        self.store.commit([], [storage.Put(key, codec.encode(record))])

    def used(self, tenant=None):
        tenant = self.services.tenants.get(self.context(), (tenant or self.acme).id)
        return self.services.quotas.usage(self.context(), tenant).used

    def amounts(self, count, vcpus, ram_mb, disk_gb):
        return tenants.Amounts(instances=count, vcpus=vcpus, ram_mb=ram_mb, disk_gb=disk_gb)

    def at_once(self, works):
        """What each of ``works`` returned or raised, all begun together."""
        results = [None] * len(works)
        gate = threading.Barrier(len(works))

        def run(index, work):
            gate.wait()
            try:
                results[index] = work()
            except Exception as error:
                results[index] = error

        threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def replayable(self, key="k", **kw):
        wanted = context.Replayable(
            key=f"replays/{key}",
            fingerprint="f",
            render=lambda instance: (202, f"/i/{instance.id}", instance.id.encode()),
        )
        return msgspec.structs.replace(self.as_ann(**kw), replayable=wanted)
