"""Taking under management what others made on a backend.

The record comes first, in one transaction with all that it takes of the quota:
an instance whose spec names the object by its handle. A worker then calls the
driver's ``adopt`` where it would make an object, until the object bears the
instance's tag. So whoever dies, and whenever, the wish is there, and carried
out once. No handle belongs to two instances: ``adoptions/`` says to which.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, catalogue, codec, instances, keys, tenants
from apisvc.service import (
    context,
    images,
    instance_records,
    ledgers,
    placement,
    records,
    sessions,
    transaction,
)
from apisvc.service import tenants as tenant_rules
from apisvc.storage import base as storage

T = TypeVar("T", bound=msgspec.Struct)

#: What is at rest is left so.
_AT_REST = (compute.Phase.STOPPED, compute.Phase.STOPPING, compute.Phase.EXITED)
_NO_LABEL = re.compile(r"[^a-z0-9-]+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclasses.dataclass(frozen=True, slots=True)
class Adopted:
    """The instance that takes an object, and what its tenant uses then."""

    instance: instances.Instance
    used: tenants.Amounts


class Adoption:
    def __init__(
        self, transactor: transaction.Transactor, loaded: Mapping[str, compute.LoadedBackend]
    ) -> None:
        self._transactor = transactor
        self._store = transactor.store
        self._loaded = loaded

    def strays(self, ctx: context.Context, backend: str) -> Sequence[compute.Stray]:
        """All objects of the backend that could be adopted and are not about to be.

        :raises NotFound: there is no such backend.
        :raises Unsupported: its driver cannot adopt.
        :raises BackendUnavailable: it cannot list them now.
        """
        loaded = self._loaded.get(backend)
        if loaded is None:
            known = ", ".join(self._loaded) or "none"
            raise errors.NotFound(f"No backend {backend!r} among enabled_backends: {known}.")
        if not isinstance(loaded.driver, compute.Adopt):
            raise errors.Unsupported(f"Backend {backend!r} cannot adopt: its driver lacks 'adopt'.")
        try:
            found = loaded.driver.strays(deadline=ctx.deadline)
        except compute.DriverError as error:
            raise sessions.translated(backend, error) from error
        taken = {
            key
            for page in storage.pages(self._store, keys.under(keys.ADOPTIONS, backend))
            for key in (record.key for record in page.records)
        }
        return [one for one in found if keys.join(keys.ADOPTIONS, backend, one.handle) not in taken]

    def taken_by(self, ctx: context.Context, backend: str, handle: str) -> str | None:
        """The id of the instance that the object belongs to, or is about to."""
        key = keys.join(keys.ADOPTIONS, backend, handle)
        found = records.get_many(self._store, [key], str, deadline=ctx.deadline)[0]
        return found.value if found else None

    def fitting(
        self, backend: str, stray: compute.Stray
    ) -> tuple[catalogue.Flavor | None, catalogue.Image | None]:
        """The flavor of its amounts and the image of its reference, where the catalogue has them."""
        loaded = self._loaded[backend]
        amounts = (stray.vcpus, stray.ram_mb, stray.disk_gb)
        flavor = self._first(
            keys.FLAVORS, catalogue.Flavor, lambda one: (one.vcpus, one.ram_mb, one.disk_gb) == amounts
        )
        image = self._first(
            keys.IMAGES, catalogue.Image, lambda one: images.reference(one, loaded) == stray.image
        )
        return flavor, image

    def adopt(
        self, ctx: context.Context, tenant: str, backend: str, stray: compute.Stray, *, rehearse: bool = False
    ) -> Adopted:
        """Record that ``stray`` becomes an instance of ``tenant`` (id or name). ``rehearse``: only try, write nothing.

        :raises NotFound: there is no such tenant.
        :raises WrongState: the tenant is not enabled, or the backend is disabled or not for it.
        :raises AlreadyExists: the object belongs to an instance already, which is named.
        :raises QuotaExceeded:
        """
        tenant_id = tenant_rules.NAMED.get(self._store, tenant, deadline=ctx.deadline).value.id
        spec = self._spec(backend, stray)

        def work(txn: transaction.Transaction) -> Adopted:
            owner = instance_records.enabled_tenant(txn, tenant_id)
            self._require_open(txn, backend, tenant_id)
            key = keys.join(keys.ADOPTIONS, backend, stray.handle)
            if (taken := txn.read(key, str)) is not None:
                raise errors.AlreadyExists(f"{stray.handle} is adopted already, by instance {taken.value}.")
            instance = instances.Instance(
                id=(instance_id := txn.ids.new()),
                tenant_id=tenant_id,
                name=self._name(txn, tenant_id, stray.name, instance_id),
                description=f"Adopted: {stray.name}"[:1024],
                spec=spec,
                created_at=txn.now,
                updated_at=txn.now,
                created_by=ctx.actor.id,
            )
            instance_records.named(tenant_id).take_name(txn, instance.name, instance.id)
            ledger = ledgers.charge(txn, owner, ledgers.read(txn, tenant_id), spec.amounts, backend)
            txn.put(key, instance.id)
            txn.put(keys.join(keys.INSTANCES, tenant_id, instance.id), instance)
            txn.put(keys.join(keys.INSTANCE_TENANTS, instance.id), tenant_id)
            instance_records.event(
                txn,
                "adopt",
                instance,
                backend=backend,
                handle=stray.handle,
                place=stray.place,
                image=spec.image,
                flavor=spec.flavor,
                power=spec.power.value,
                amounts=spec.amounts.as_dict(),
                used=ledger.used.as_dict(),
            )
            return Adopted(instance, ledger.used)

        if rehearse:
            return self._transactor.rehearse(ctx, work)
        return self._transactor.transact(ctx, work).result

    # Within

    def _spec(self, backend: str, stray: compute.Stray) -> instances.Spec:
        """What leaves the object as it is."""
        flavor, image = self.fitting(backend, stray)
        rests = stray.phase in _AT_REST
        return instances.Spec(
            backend=backend,
            image_id=image.id if image else "",
            image=image.name if image else stray.image,
            image_ref=stray.image,
            flavor_id=flavor.id if flavor else "",
            flavor=flavor.name if flavor else "",
            vcpus=stray.vcpus,
            ram_mb=stray.ram_mb,
            disk_gb=stray.disk_gb,
            command=tuple(stray.command),
            args=tuple(stray.args),
            env=dict(stray.env),
            power=instances.Power.STOPPED if rests else instances.Power.RUNNING,
            adopt=stray.handle,
        )

    def _first(self, prefix: str, kind: type[T], fits: Callable[[T], bool]) -> T | None:
        for page in storage.pages(self._store, prefix):
            for record in page.records:
                if fits(found := codec.decode(record.value, kind)):
                    return found
        return None

    @staticmethod
    def _require_open(txn: transaction.Transaction, backend: str, tenant_id: str) -> None:
        found = txn.read(keys.join(keys.BACKENDS, backend), backends.Backend)
        word = found.value if found else None
        if word is not None and word.state is backends.BackendState.DISABLED:
            raise errors.WrongState(f"Backend {backend!r} is disabled.")
        if not placement.allows(word, tenant_id):
            raise errors.WrongState(f"Backend {backend!r} is not for this tenant.")

    @staticmethod
    def _name(txn: transaction.Transaction, tenant_id: str, told: str, instance_id: str) -> str:
        """A free name, as near as can be to what others called it."""
        plain = _NO_LABEL.sub("-", told.lower()).strip("-")[:63].rstrip("-")
        if not plain or _UUID.fullmatch(plain):
            return f"instance-{instance_id[-12:]}"
        if txn.read(keys.join(keys.INSTANCE_NAMES, tenant_id, plain), str) is None:
            return plain
        return f"{plain[:50].rstrip('-')}-{instance_id[-12:]}"
