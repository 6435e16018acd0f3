"""A small world for worker tests: memory store, fake backends, and what the API would write."""

import dataclasses
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography import fernet
from oslo_config import cfg

from apisvc import conf as configuration
from apisvc.compute import base as compute
from apisvc.compute import fake, fakecloud
from apisvc.model import backends, codec, events, instances, keys, tenants
from apisvc.service import context, secrets, transaction
from apisvc.service import tenants as tenant_service
from apisvc.storage import base as storage
from apisvc.storage import memory
from apisvc.worker import steps, worker

DEADLINE = 30.0


def until(what: Callable[[], Any], message: str = "in time", timeout: float = DEADLINE) -> Any:
    """Wait for ``what()`` to be true; its value."""
    end = time.monotonic() + timeout
    while not (value := what()):
        if time.monotonic() > end:
            raise AssertionError(f"not {message}: {what}")
        threading.Event().wait(0.002)
    return value


class Deletes:
    """The one call of the instance service that a worker makes."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def delete(self, ctx: context.Context, tenant_id: str, instance_id: str) -> None:
        self._world.delete(instance_id)


class World:
    def __init__(
        self, backend_names: tuple[str, ...] = ("east",), store: storage.Store | None = None, **options: Any
    ) -> None:
        self.conf = configuration.new()
        self.conf([], default_config_files=[], default_config_dirs=[])
        defaults = {"resync_interval": 3600.0, "retry_min": 0.02, "retry_max": 0.2, "lease_ttl": 60}
        for name, value in (defaults | options).items():
            self.conf.set_override(name, value, "worker")
        self.store = store or memory.MemoryStore()
        self.clouds = {name: fakecloud.MemoryCloud() for name in backend_names}
        self.transactor = transaction.Transactor(
            self.store, secrets.SecretBox([fernet.Fernet.generate_key()]), context.Clock(), context.Ids()
        )
        self.services: Any = types.SimpleNamespace(
            store=self.store,
            transactor=self.transactor,
            tenants=tenant_service.Tenants(self.transactor, self.conf),
            instances=Deletes(self),
        )
        self.drivers: list[dict[str, fake.FakeDriver]] = []
        self.workers: list[worker.Worker] = []
        self.tenant = self.add_tenant("blue")

    # Workers

    def load(self, **driver_options: Any) -> dict[str, compute.LoadedBackend]:
        """Each worker has drivers of its own; their clouds are the same."""
        loaded, drivers = {}, {}
        for name, cloud in self.clouds.items():
            conf = cfg.ConfigOpts()
            conf.register_opts(fake.FakeDriver.options(), group=name)
            for option, value in driver_options.items():
                conf.set_override(option, value, name)
            drivers[name] = fake.FakeDriver(
                compute.BackendContext(name, "test", conf[name], "/nonexistent"), cloud=cloud
            )
            loaded[name] = compute.LoadedBackend(name, "fake", drivers[name])
        self.drivers.append(drivers)
        return loaded

    def start(
        self,
        hook: steps.Hook | None = None,
        before: Callable[[dict[str, fake.FakeDriver]], None] | None = None,
        **driver_options: Any,
    ) -> worker.Worker:
        """Another worker. ``before`` gets its drivers before it runs."""
        loaded = self.load(**driver_options)
        if before:
            before(self.drivers[-1])
        one = worker.Worker(self.conf, self.services, loaded, hook)
        self.workers.append(one)
        one.start()
        return one

    def stop(self) -> None:
        for one in self.workers:
            one.stop(timeout=5.0)

    def driver(self, name: str = "east") -> fake.FakeDriver:
        return self.drivers[-1][name]

    # What the API writes

    def _context(self) -> context.Context:
        return context.Context(
            events.Actor(kind="user", id="u", name="u"), deadline=time.monotonic() + DEADLINE
        )

    def add_tenant(self, name: str) -> tenants.Tenant:
        tenant = tenants.Tenant(
            id=self.transactor.ids.new(),
            name=name,
            quota=tenants.Amounts(instances=-1, vcpus=-1, ram_mb=-1, disk_gb=-1),
            created_at=time.time(),
            updated_at=time.time(),
        )
        ledger = tenants.Ledger(tenant_id=tenant.id)
        self.store.commit(
            [],
            [
                storage.Put(keys.join(keys.TENANTS, tenant.id), codec.encode(tenant)),
                storage.Put(keys.join(keys.TENANT_NAMES, name), codec.encode(tenant.id)),
                storage.Put(keys.join(keys.LEDGERS, tenant.id), codec.encode(ledger)),
            ],
        )
        return tenant

    def create(self, name: str = "", *, backend: str = "east", labels: Any = None, **spec: Any) -> str:
        """POST an instance; its id."""
        instance_id = self.transactor.ids.new()
        instance = instances.Instance(
            id=instance_id,
            tenant_id=self.tenant.id,
            name=name or f"i-{instance_id[-12:]}",
            labels=labels or {},
            spec=instances.Spec(
                **{
                    "backend": backend,
                    "image_id": "i",
                    "image": "busybox",
                    "image_ref": "busybox",
                    "flavor_id": "f",
                    "flavor": "small",
                    "vcpus": 1,
                    "ram_mb": 64,
                    "disk_gb": 1,
                }
                | spec
            ),
            created_at=time.time(),
            updated_at=time.time(),
            created_by="u",
        )

        def work(txn: transaction.Transaction) -> None:
            ledger = txn.read(self.ledger_key, tenants.Ledger)
            assert ledger is not None
            used = ledger.value.used.plus(instance.spec.amounts)
            on = {**ledger.value.on, backend: ledger.value.on.get(backend, 0) + 1}
            txn.put(self.ledger_key, tenants.Ledger(tenant_id=self.tenant.id, used=used, on=on))
            txn.put(self.key(instance_id), instance)
            txn.put(keys.join(keys.INSTANCE_NAMES, self.tenant.id, instance.name), instance_id)
            txn.put(keys.join(keys.INSTANCE_TENANTS, instance_id), self.tenant.id)

        self.transactor.transact(self._context(), work)
        return instance_id

    def update(self, instance_id: str, **spec: Any) -> None:
        """PATCH the spec, or an action."""

        def work(txn: transaction.Transaction) -> None:
            found = txn.read(self.key(instance_id), instances.Instance)
            assert found is not None
            changed = msgspec.structs.replace(
                found.value,
                spec=msgspec.structs.replace(found.value.spec, **spec),
                generation=found.value.generation + 1,
            )
            txn.put(self.key(instance_id), changed)

        self.transactor.transact(self._context(), work)

    def delete(self, instance_id: str) -> None:
        def work(txn: transaction.Transaction) -> None:
            found = txn.read(self.key(instance_id), instances.Instance)
            if found is not None and found.value.deleted_at is None:
                gone = msgspec.structs.replace(
                    found.value, deleted_at=txn.now, generation=found.value.generation + 1
                )
                txn.put(self.key(instance_id), gone)

        self.transactor.transact(self._context(), work)

    def operate(self, state: backends.BackendState, name: str = "east") -> None:
        record = backends.Backend(name=name, state=state, updated_at=time.time())
        self.store.commit([], [storage.Put(keys.join(keys.BACKENDS, name), codec.encode(record))])

    # What the store says

    def key(self, instance_id: str) -> str:
        return keys.join(keys.INSTANCES, self.tenant.id, instance_id)

    @property
    def ledger_key(self) -> str:
        return keys.join(keys.LEDGERS, self.tenant.id)

    def get(self, instance_id: str) -> instances.Instance | None:
        record = self.store.get([self.key(instance_id)]).records.get(self.key(instance_id))
        return codec.decode(record.value, instances.Instance) if record else None

    def status(self, instance_id: str) -> instances.Status:
        found = self.get(instance_id)
        assert found is not None, "it is gone"
        return found.status

    def wait(self, instance_id: str, state: str, *, settled: bool = True) -> instances.Instance:
        """Until it is in ``state`` and nothing more is to be done for it."""

        def there() -> instances.Instance | None:
            found = self.get(instance_id)
            if found is None or found.status.state != state:
                return None
            if settled and (found.status.observed_generation != found.generation or self.claims()):
                return None
            return found

        try:
            return until(there, state)
        except AssertionError:
            raise AssertionError(f"not {state}: {self.get(instance_id)}, claims {self.claims()}") from None

    def wait_gone(self, instance_id: str) -> None:
        until(lambda: self.get(instance_id) is None, "gone")

    def claims(self) -> list[str]:
        return [
            record.key for record in self.store.scan(keys.CLAIMS).records if "-collector" not in record.key
        ]

    def used(self) -> tenants.Amounts:
        record = self.store.get([self.ledger_key]).records[self.ledger_key]
        return codec.decode(record.value, tenants.Ledger).used

    def objects(self, name: str = "east") -> list[compute.Observed]:
        now = time.time()
        with self.clouds[name].locked():
            return [seen for found in self.clouds[name].all() if (seen := found.observed(now))]

    def events(self, action: str | None = None) -> list[events.Event]:
        found = [codec.decode(r.value, events.Event) for r in self.store.scan(keys.EVENTS).records]
        return sorted(
            (event for event in found if action in (None, event.action)), key=lambda event: event.id
        )


@dataclasses.dataclass
class Times:
    """How long each of some runs took, in seconds."""

    all: list[float]

    @property
    def median(self) -> float:
        return sorted(self.all)[len(self.all) // 2]
