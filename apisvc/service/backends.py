"""Backends: what is configured, what the operator wants with it, what the workers found."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, catalogue, codec, events, keys
from apisvc.schemas import backends as schema
from apisvc.schemas import base
from apisvc.schemas import drivers as driver_schema
from apisvc.service import context, images, ledgers, placement, records, transaction
from apisvc.service import tenants as tenant_rules


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A configured backend with what is known of it."""

    loaded: compute.LoadedBackend
    operator: codec.Versioned[backends.Backend] | None
    health: codec.Versioned[backends.BackendHealth] | None
    #: Instances there; 0 where nobody asked.
    instances: int = 0

    @property
    def state(self) -> backends.BackendState:
        return self.operator.value.state if self.operator else backends.BackendState.ENABLED

    def allows(self, tenant_id: str) -> bool:
        """Whether the tenant may use it."""
        return placement.allows(self.operator.value if self.operator else None, tenant_id)

    def view(self) -> schema.BackendView:
        """As administrators see it."""
        operator, health = self.operator, self.health
        capacity = health.value.capacity if health else None
        return schema.BackendView(
            id=self.loaded.name,
            name=self.loaded.name,
            driver=self.loaded.driver_name,
            capabilities=self.loaded.capabilities,
            state=self.state,
            reason=operator.value.reason if operator else "",
            weight=operator.value.weight if operator else backends.WEIGHT,
            tenants=operator.value.tenants if operator else None,
            instances=self.instances,
            capacity=schema.capacity_view(capacity) if capacity else None,
            health=schema.health_view(health.value) if health else None,
            updated_at=base.timestamp(operator.value.updated_at) if operator else None,
            revision=operator.revision if operator else 0,
        )

    def tenant_view(self) -> schema.TenantBackendView:
        """As tenants see it: without what is between operator and cloud."""
        return schema.TenantBackendView(
            id=self.loaded.name,
            name=self.loaded.name,
            driver=self.loaded.driver_name,
            capabilities=self.loaded.capabilities,
            state=self.state,
            healthy=self.health.value.healthy if self.health else None,
        )


class Backends:
    """The configured backends. The configuration makes and removes them; the operator's word is a record."""

    def __init__(
        self, transactor: transaction.Transactor, loaded: Mapping[str, compute.LoadedBackend]
    ) -> None:
        self._transactor = transactor
        self._loaded = loaded

    def list(self, ctx: context.Context) -> Sequence[Known]:
        """All of them, in the configured order."""
        return self._known(ctx, tuple(self._loaded))

    def list_counted(self, ctx: context.Context) -> Sequence[Known]:
        """The same, with how many instances are on each."""
        return self._counted(ctx, self.list(ctx))

    def list_for(self, ctx: context.Context, tenant_id: str) -> Sequence[Known]:
        """Those that a tenant may use."""
        return [known for known in self.list(ctx) if known.allows(tenant_id)]

    def get(self, ctx: context.Context, name: str) -> Known:
        """The backend of this name, with how many instances are there; or NotFound."""
        self._require(name)
        return self._counted(ctx, self._known(ctx, [name]))[0]

    def update(
        self, ctx: context.Context, name: str, body: schema.BackendUpdate
    ) -> transaction.Committed[Known]:
        """Say what may happen on it.

        :raises InvalidRequest: one of the tenants is not there.
        :raises NotFound, PreconditionFailed:
        """
        self._require(name)
        asked = body.asked()
        if asked.get("tenants") is not None:
            asked["tenants"] = self._tenant_ids(ctx, asked["tenants"])
        key = keys.join(keys.BACKENDS, name)

        def work(txn: transaction.Transaction) -> backends.Backend:
            found = txn.read(key, backends.Backend)
            new = backends.Backend(name=name, updated_at=txn.now)
            txn.match(found or codec.Versioned(new, 0))
            before = found.value if found else new
            new_state = asked.get("state", before.state) is not before.state
            about = {"reason": ""} if new_state else {}  # the old one was of the old state
            after = msgspec.structs.replace(before, **{**about, **asked}, updated_at=txn.now)
            txn.put(key, after)
            txn.event(
                "backend.update",
                events.Target(kind="backend", id=name, name=name),
                before=found.revision if found else None,
                state=after.state.value,
                changes=records.changes(before, after),
            )
            return after

        done = self._transactor.transact(ctx, work)
        known = dataclasses.replace(self.get(ctx, name), operator=codec.Versioned(done.result, done.revision))
        return transaction.Committed(known, done.revision)

    def usable(self, ctx: context.Context, tenant_id: str) -> Callable[[catalogue.Image], Sequence[str]]:
        """For a tenant: the names of the backends that know an image, out of those that it may use."""
        allowed = [known.loaded for known in self.list_for(ctx, tenant_id)]
        return lambda image: [backend.name for backend in allowed if images.reference(image, backend)]

    def drivers(self) -> driver_schema.DriverList:
        """The drivers of the configured backends."""
        found: dict[str, driver_schema.DriverView] = {}
        for backend in self._loaded.values():
            name = backend.driver_name
            view = found.get(name) or driver_schema.DriverView(
                id=name,
                name=name,
                contract=backend.driver.contract,
                capabilities=backend.capabilities,
                backends=[],
            )
            found[name] = msgspec.structs.replace(view, backends=[*view.backends, backend.name])
        ordered = [found[name] for name in sorted(found)]
        return driver_schema.DriverList(drivers=ordered, contract=compute.CONTRACT)

    def _require(self, name: str) -> None:
        if name not in self._loaded:
            raise errors.NotFound.of("backend", name)

    def _tenant_ids(self, ctx: context.Context, refs: Sequence[str]) -> tuple[str, ...]:
        """The ids, each once, of tenants named by id or name."""
        ids: dict[str, None] = {}
        for index, ref in enumerate(refs):
            found = tenant_rules.NAMED.find(self._transactor.store, ref, deadline=ctx.deadline)
            if found is None:
                raise errors.InvalidRequest(
                    f"There is no tenant {ref!r}.",
                    errors=(errors.FieldError(f"/tenants/{index}", "is not there"),),
                )
            ids[found.value.id] = None
        return tuple(ids)

    def _counted(self, ctx: context.Context, found: Sequence[Known]) -> Sequence[Known]:
        counts = ledgers.on_backends(self._transactor.store, deadline=ctx.deadline)
        return [dataclasses.replace(known, instances=counts.get(known.loaded.name, 0)) for known in found]

    def _known(self, ctx: context.Context, names: Sequence[str]) -> Sequence[Known]:
        store, deadline = self._transactor.store, ctx.deadline

        def read(prefix: str, kind: Any) -> Sequence[Any]:
            wanted = [keys.join(prefix, name) for name in names]
            return records.get_many(store, wanted, kind, deadline=deadline)

        operators = read(keys.BACKENDS, backends.Backend)
        healths = read(keys.BACKEND_HEALTH, backends.BackendHealth)
        return [
            Known(self._loaded[name], operator, health)
            for name, operator, health in zip(names, operators, healths, strict=True)
        ]
