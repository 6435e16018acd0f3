"""Backends: what is configured, what the operator wants with it, what the workers found."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, catalogue, codec, events, keys
from apisvc.schemas import backends as schema
from apisvc.schemas import base
from apisvc.schemas import drivers as driver_schema
from apisvc.service import context, images, records, transaction


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A configured backend with what is known of it."""

    loaded: compute.LoadedBackend
    operator: codec.Versioned[backends.Backend] | None
    health: codec.Versioned[backends.BackendHealth] | None

    @property
    def state(self) -> backends.BackendState:
        return self.operator.value.state if self.operator else backends.BackendState.ENABLED

    def view(self) -> schema.BackendView:
        """As administrators see it."""
        operator = self.operator
        return schema.BackendView(
            id=self.loaded.name,
            name=self.loaded.name,
            driver=self.loaded.driver_name,
            capabilities=self.loaded.capabilities,
            state=self.state,
            reason=operator.value.reason if operator else "",
            health=schema.health_view(self.health.value) if self.health else None,
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
        """All of them, in the order of preference."""
        return self._known(ctx, tuple(self._loaded))

    def get(self, ctx: context.Context, name: str) -> Known:
        """The backend of this name, or NotFound."""
        self._require(name)
        return self._known(ctx, [name])[0]

    def update(
        self, ctx: context.Context, name: str, body: schema.BackendUpdate
    ) -> transaction.Committed[Known]:
        """Enable, drain or disable it.

        :raises NotFound, PreconditionFailed:
        """
        self._require(name)
        key = keys.join(keys.BACKENDS, name)

        def work(txn: transaction.Transaction) -> backends.Backend:
            found = txn.read(key, backends.Backend)
            new = backends.Backend(name=name, updated_at=txn.now)
            txn.match(found or codec.Versioned(new, 0))
            before = found.value if found else new
            asked = body.asked()
            if asked.get("state", before.state) is not before.state:
                asked.setdefault("reason", "")  # the old one was of the old state
            after = msgspec.structs.replace(before, **asked, updated_at=txn.now)
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

    def usable(self, image: catalogue.Image) -> Sequence[str]:
        """The names of the backends that know ``image``."""
        return [name for name, backend in self._loaded.items() if images.reference(image, backend)]

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
