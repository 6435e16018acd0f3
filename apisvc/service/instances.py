"""The rules of instances: wishes are recorded here, durably and within the quota; workers fulfil them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import codec, instances, keys, tenants
from apisvc.schemas import instance_views as views
from apisvc.schemas import instances as schema
from apisvc.service import (
    actions,
    context,
    creation,
    grouping,
    instance_records,
    ledgers,
    listing,
    memberships,
    records,
    resolution,
    sight,
    transaction,
)

Committed = transaction.Committed[instances.Instance]
Found = codec.Versioned[instances.Instance]


class Instances:
    """What a tenant's users ask for. The status is the workers'; nothing here touches it."""

    def __init__(
        self, transactor: transaction.Transactor, loaded: Mapping[str, compute.LoadedBackend]
    ) -> None:
        self._transactor = transactor
        self._store = transactor.store
        self._loaded = loaded
        self._resolver = resolution.Resolver(transactor.store, loaded)
        self._sight = sight.Sight(transactor.store, loaded, transactor.clock)
        self._creation = creation.Creation(self._resolver, transactor.secrets)
        self._grouping = grouping.Grouping(transactor)

    # Reading

    def get(self, ctx: context.Context, tenant_id: str, ref: str) -> Found:
        """The tenant's instance with this id or name, or NotFound. One read by id."""
        return instance_records.named(tenant_id).get(self._store, ref, deadline=ctx.deadline)

    def list(
        self, ctx: context.Context, tenant_id: str, query: schema.InstanceQuery, page: listing.Page
    ) -> listing.Listed[instances.Instance]:
        """The tenant's instances, oldest first."""
        place = keys.under(keys.INSTANCES, tenant_id)
        keep = self._filter(ctx, query)
        return listing.scan(self._store, place, instances.Instance, page, keep=keep, deadline=ctx.deadline)

    def list_all(
        self, ctx: context.Context, query: schema.InstanceQuery, page: listing.Page, *, tenant_id: str | None
    ) -> listing.Listed[instances.Instance]:
        """The instances of all tenants (or of one), by tenant and then oldest first."""
        within = None if tenant_id is None else [keys.under(keys.INSTANCES, tenant_id)]
        return self._scan(ctx, page, self._filter(ctx, query), within)

    def list_own(
        self, ctx: context.Context, query: schema.InstanceQuery, page: listing.Page
    ) -> listing.Listed[instances.Instance]:
        """What the caller made, in the tenants that it is a member of."""
        user_id = memberships.caller(ctx).user_id
        within = [keys.under(keys.INSTANCES, tenant) for tenant in memberships.tenants_of(self._store, ctx)]
        keep = self._filter(ctx, query)
        return self._scan(ctx, page, lambda found: found.created_by == user_id and keep(found), within)

    def view(self, ctx: context.Context, found: Found) -> views.InstanceView:
        """``found`` as it is answered to the caller: which node it is on is for admins."""
        return self.views(ctx, [found])[0]

    def views(self, ctx: context.Context, found: Sequence[Found]) -> Sequence[views.InstanceView]:
        """Each of ``found`` as it is answered; one read for all."""
        lost = self._sight.of([one.value for one in found], deadline=ctx.deadline)
        return [
            views.view(
                one,
                actions.possible(one.value, self._loaded.get(one.value.spec.backend)),
                stale=self._sight.stale(one.value, lost),
                seen_at=lost.get(one.value.spec.backend),
                node=ctx.admin,
            )
            for one in found
        ]

    # Writing

    def create(self, ctx: context.Context, tenant_id: str, body: schema.InstanceCreate) -> Committed:
        """Record a new instance, in one transaction with all that it takes.

        :raises InvalidRequest: the image, flavor or backend is not there.
        :raises WrongState: the tenant is not enabled.
        :raises AlreadyExists, NoBackend, QuotaExceeded:
        """
        making = self._creation.making(ctx, tenant_id, body)
        return self._grouping.transact(ctx, lambda txn: making(txn).instance)

    def plan(self, ctx: context.Context, tenant_id: str, body: schema.InstanceCreate) -> creation.Plan:
        """What :meth:`create` would do at this moment: the same steps, and the same errors, but nothing written."""
        revision = self._store.revision(deadline=ctx.deadline)
        made = self._transactor.rehearse(ctx, self._creation.making(ctx, tenant_id, body))
        return msgspec.structs.replace(made, revision=revision)

    def update(
        self, ctx: context.Context, tenant_id: str, ref: str, body: schema.InstanceUpdate
    ) -> Committed:
        """Change what was asked; a new flavor moves the ledger by the difference.

        :raises InvalidRequest: the image or flavor is not there, or what comes of it is too large.
        :raises WrongState: it is being deleted, or the tenant is not enabled.
        :raises NotFound, PreconditionFailed, AlreadyExists, NoBackend, QuotaExceeded:
        """

        def decide(txn: transaction.Transaction, before: instances.Instance) -> _Change:
            if before.deleted_at is not None:
                raise errors.WrongState("The instance is being deleted.")
            spec = self._resolver.changed_spec(
                before.spec, body, self._transactor.secrets, deadline=ctx.deadline
            )
            asked = body.asked()
            if before.adopting and spec != before.spec:
                raise errors.WrongState(
                    "The instance is being adopted as it is; change it when that is done."
                )
            about = {name: asked[name] for name in ("name", "description", "labels") if name in asked}
            after = msgspec.structs.replace(before, **about, spec=spec)
            detail: dict[str, Any] = {"changes": _changes(before, after)}
            if after.name != before.name:
                instance_records.named(tenant_id).take_name(txn, after.name, after.id)
                instance_records.named(tenant_id).drop_name(txn, before.name)
            if spec != before.spec:
                tenant = instance_records.enabled_tenant(txn, tenant_id)
                after = msgspec.structs.replace(after, generation=before.generation + 1)
                difference = spec.amounts.minus(before.spec.amounts)
                if difference != tenants.Amounts():
                    ledger = ledgers.read(txn, tenant.id)
                    ledger = ledgers.charge(txn, tenant, ledger, difference, spec.backend)
                    detail.update(amounts=spec.amounts.as_dict(), used=ledger.used.as_dict())
            return after, detail

        return self._change(ctx, tenant_id, ref, "update", decide)

    def act(self, ctx: context.Context, tenant_id: str, ref: str, action: schema.Action) -> Committed:
        """Ask for start, stop or reboot. What is so already is left as it is.

        :raises WrongState: it is being deleted, is stopped (reboot), or the tenant is not enabled.
        :raises Unsupported: its backend cannot do that.
        :raises NotFound, PreconditionFailed:
        """

        def decide(txn: transaction.Transaction, before: instances.Instance) -> _Change:
            actions.require(before, self._loaded.get(before.spec.backend), action.value)
            if action is not schema.Action.STOP:
                instance_records.enabled_tenant(txn, tenant_id)
            after = actions.apply(before, action)
            return after, {"power": after.spec.power.value}

        return self._change(ctx, tenant_id, ref, action.value, decide)

    def delete(self, ctx: context.Context, tenant_id: str, ref: str) -> Committed:
        """Ask for its end, in whatever state it is. The record goes when the backend says it is gone.

        :raises NotFound, PreconditionFailed:
        """

        def decide(txn: transaction.Transaction, before: instances.Instance) -> _Change:
            after = before
            if before.deleted_at is None:
                after = msgspec.structs.replace(before, deleted_at=txn.now, generation=before.generation + 1)
            return after, {}

        return self._change(ctx, tenant_id, ref, "delete", decide)

    # Within

    def _filter(
        self, ctx: context.Context, query: schema.InstanceQuery
    ) -> Callable[[instances.Instance], bool]:
        """Whether an instance is asked for."""
        if query.stale is None:
            return query.matches
        lost = self._sight.all(deadline=ctx.deadline)
        return lambda found: query.matches(found) and self._sight.stale(found, lost) is query.stale

    def _change(
        self,
        ctx: context.Context,
        tenant_id: str,
        ref: str,
        verb: str,
        decide: Callable[[transaction.Transaction, instances.Instance], "_Change"],
    ) -> Committed:
        """Write what ``decide`` makes of an instance; nothing when that is the instance itself."""
        named = instance_records.named(tenant_id)
        revision: int | None = None

        def work(txn: transaction.Transaction) -> instances.Instance:
            nonlocal revision
            found = named.read(txn, named.get(self._store, ref, deadline=ctx.deadline).value.id)
            txn.match(found)
            before = found.value
            after, detail = decide(txn, before)
            key = keys.join(keys.INSTANCES, tenant_id, before.id)
            if after == before:
                revision = found.revision
                if ctx.replayable is not None:  # its record must have the instance's revision
                    revision = None
                    txn.put(key, before)
                return before
            revision = None
            after = msgspec.structs.replace(after, updated_at=txn.now)
            txn.put(key, after)
            instance_records.event(
                txn, verb, after, before=found.revision, generation=after.generation, **detail
            )
            return after

        done = self._transactor.transact(ctx, work)
        return transaction.Committed(done.result, done.revision if revision is None else revision)

    def _scan(
        self,
        ctx: context.Context,
        page: listing.Page,
        keep: Callable[[instances.Instance], bool],
        within: Sequence[str] | None,
    ) -> listing.Listed[instances.Instance]:
        return listing.scan(
            self._store,
            keys.INSTANCES,
            instances.Instance,
            page,
            keep=keep,
            within=within,
            deadline=ctx.deadline,
        )


#: What an instance becomes, and what its event says of that.
_Change = tuple[instances.Instance, dict[str, Any]]


def _changes(before: instances.Instance, after: instances.Instance) -> dict[str, Any]:
    """What an update did, for its event: of environments no values, of secrets not even encrypted ones."""
    changes = records.changes(msgspec.structs.replace(before, spec=after.spec, status=after.status), after)
    quiet: dict[str, Any] = {"env": {}, "secret_env": {}}
    hidden = {**quiet, "user_data": ""}
    changes.update(
        records.changes(
            msgspec.structs.replace(before.spec, **hidden), msgspec.structs.replace(after.spec, **hidden)
        )
    )
    if before.spec.user_data != after.spec.user_data:
        changes["user_data"] = {
            name: views.MASK if value else ""
            for name, value in (("from", before.spec.user_data), ("to", after.spec.user_data))
        }
    for field in quiet:
        was, now = getattr(before.spec, field), getattr(after.spec, field)
        names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if names:
            changes[field] = {"names": names}
    return changes
