"""Tenants: made, changed, disabled, removed, and who sees them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from oslo_config import cfg

from apisvc import errors
from apisvc.model import codec, events, identity, keys, tenants
from apisvc.schemas import base as schemas
from apisvc.service import context, listing, records, removal, transaction

NAMED = records.Named("tenant", tenants.Tenant, keys.TENANTS, keys.TENANT_NAMES)


class Visible(msgspec.Struct, frozen=True):
    """A tenant that the caller may know of, and the role it acts with there (None: only an admin's)."""

    tenant: codec.Versioned[tenants.Tenant]
    role: identity.Role | None


def target(tenant: tenants.Tenant) -> events.Target:
    return events.Target(kind="tenant", id=tenant.id, name=tenant.name)


def require_enabled(tenant: tenants.Tenant) -> None:
    """WrongState when nothing new may be made in it."""
    if tenant.state != tenants.TenantState.ENABLED:
        raise errors.WrongState(f"Tenant {tenant.name!r} is {tenant.state}: nothing new can be made in it.")


def require_staying(tenant: tenants.Tenant) -> None:
    """WrongState when it is being removed."""
    if tenant.state == tenants.TenantState.REMOVING:
        raise errors.WrongState(f"Tenant {tenant.name!r} is being removed.")


def write(
    txn: transaction.Transaction,
    action: str,
    before: codec.Versioned[tenants.Tenant],
    after: tenants.Tenant,
) -> None:
    """Put a changed tenant, with its event."""
    txn.put(keys.join(keys.TENANTS, after.id), after)
    txn.event(
        action,
        target(after),
        tenant_id=after.id,
        before=before.revision,
        changes=records.changes(before.value, after),
    )


class Tenants:
    def __init__(self, transactor: transaction.Transactor, conf: cfg.ConfigOpts) -> None:
        self._transactor = transactor
        self._store = transactor.store
        self._conf = conf

    # Reading

    def get(self, ctx: context.Context, ref: str) -> codec.Versioned[tenants.Tenant]:
        """The tenant with this id or name, whoever asks."""
        return NAMED.get(self._store, ref, deadline=ctx.deadline)

    def exists(self, ctx: context.Context, tenant_id: str) -> bool:
        """Whether there is one with this id, in any state."""
        key = keys.join(keys.TENANTS, tenant_id)
        return key in self._store.get([key], deadline=ctx.deadline).records

    def visible(self, ctx: context.Context, ref: str) -> Visible:
        """The tenant as ``ctx.identity`` may see it; NotFound alike when it may not and when there is none.

        One store read by id, two by name.
        """
        who = ctx.identity
        tenant_id = NAMED.resolve(self._store, ref, deadline=ctx.deadline)
        if who is None or tenant_id is None or who.scope_tenant_id not in (None, tenant_id):
            raise errors.NotFound.of("tenant", ref)
        of_tenant = keys.join(keys.TENANTS, tenant_id)
        of_member = keys.join(keys.MEMBERS, tenant_id, who.user_id)
        found = self._store.get([of_tenant, of_member], deadline=ctx.deadline).records
        role = who.roles.get(tenant_id)
        if role is None and of_member in found:
            role = codec.decode(found[of_member].value, tenants.Member).role
        if of_tenant not in found or (role is None and not who.admin):
            raise errors.NotFound.of("tenant", ref)
        tenant = found[of_tenant]
        return Visible(
            codec.Versioned(codec.decode(tenant.value, tenants.Tenant), tenant.revision),
            role.capped(who.scope_role) if role else None,
        )

    def list(
        self,
        ctx: context.Context,
        page: listing.Page,
        *,
        name: str | None = None,
        state: tenants.TenantState | None = None,
        labels: tuple[str, ...] = (),
    ) -> listing.Listed[tenants.Tenant]:
        """All tenants that match, oldest first."""

        def keep(tenant: tenants.Tenant) -> bool:
            return (state is None or tenant.state == state) and schemas.labels_match(labels, tenant.labels)

        return NAMED.list(self._store, page, name=name, keep=keep, deadline=ctx.deadline)

    # Writing

    def create(
        self,
        ctx: context.Context,
        *,
        name: str,
        tenant_id: str | None = None,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        quota: Mapping[str, int] | None = None,
    ) -> transaction.Committed[tenants.Tenant]:
        """A new tenant; limits that ``quota`` does not name are those of ``[quota]``.

        :raises AlreadyExists: there is one with this name, or with ``tenant_id``.
        """
        limits = {field: self._conf.quota[field] for field in tenants.Amounts.__struct_fields__}

        def work(txn: transaction.Transaction) -> tenants.Tenant:
            if tenant_id and txn.read(keys.join(keys.TENANTS, tenant_id), tenants.Tenant) is not None:
                raise errors.AlreadyExists(f"There is a tenant with the id {tenant_id} already.")
            tenant = tenants.Tenant(
                id=tenant_id or txn.ids.new(),
                name=name,
                description=description,
                labels=dict(labels or {}),
                quota=tenants.Amounts(**{**limits, **(quota or {})}),
                created_at=txn.now,
                updated_at=txn.now,
            )
            NAMED.take_name(txn, name, tenant.id)
            txn.put(keys.join(keys.TENANTS, tenant.id), tenant)
            txn.put(keys.join(keys.LEDGERS, tenant.id), tenants.Ledger(tenant_id=tenant.id))
            txn.event("tenant.create", target(tenant), tenant_id=tenant.id, spec=msgspec.to_builtins(tenant))
            return tenant

        return self._transactor.transact(ctx, work)

    def update(
        self, ctx: context.Context, ref: str, fields: Mapping[str, Any]
    ) -> transaction.Committed[tenants.Tenant]:
        """Set some of name, description, labels and state (enabled or disabled)."""
        tenant_id = self.get(ctx, ref).value.id

        def work(txn: transaction.Transaction) -> tenants.Tenant:
            before = NAMED.read(txn, tenant_id)
            txn.match(before)
            require_staying(before.value)
            after = msgspec.structs.replace(before.value, **fields, updated_at=txn.now)
            if after.name != before.value.name:
                NAMED.take_name(txn, after.name, tenant_id)
                NAMED.drop_name(txn, before.value.name)
            write(txn, "tenant.update", before, after)
            return after

        return self._transactor.transact(ctx, work)

    def delete(self, ctx: context.Context, ref: str) -> transaction.Committed[tenants.Tenant]:
        """Begin to remove a tenant: nothing new from now on, and workers empty it.

        One that is being removed already is answered as it is.
        """
        found = self.get(ctx, ref)
        if found.value.state == tenants.TenantState.REMOVING:
            return transaction.Committed(found.value, found.revision)

        def work(txn: transaction.Transaction) -> tenants.Tenant:
            before = NAMED.read(txn, found.value.id)
            txn.match(before)
            after = msgspec.structs.replace(
                before.value, state=tenants.TenantState.REMOVING, updated_at=txn.now
            )
            write(txn, "tenant.delete", before, after)
            return after

        return self._transactor.transact(ctx, work)

    def finish_removal(self, ctx: context.Context, tenant_id: str) -> bool:
        """Remove what is left of a tenant in state ``removing``, once every backend has forgotten it.

        Members, tokens scoped to it and at last its own records go, in as many
        transactions as it takes; whoever calls again after a crash goes on.
        True: it is gone. False: it still has instances, or is not being removed.
        """
        while True:
            done = self._transactor.transact(ctx, lambda txn: self._remove_some(txn, tenant_id)).result
            if done is not None:
                return done

    @staticmethod
    def _remove_some(txn: transaction.Transaction, tenant_id: str) -> bool | None:
        """One transaction of :meth:`finish_removal`; None: there is more to do."""
        found = txn.read(keys.join(keys.TENANTS, tenant_id), tenants.Tenant)
        if found is None:
            return True
        tenant = found.value
        # A tenant in this state gets nothing new, and its record is guarded: the scans miss nothing.
        if tenant.state != tenants.TenantState.REMOVING:
            return False
        if txn.scan(keys.under(keys.INSTANCES, tenant_id), limit=1).records:
            return False
        if not removal.of_tenant(txn, tenant_id):
            return None
        ledger = keys.join(keys.LEDGERS, tenant_id)
        used = txn.read(ledger, tenants.Ledger)
        txn.delete(keys.join(keys.TENANTS, tenant_id))
        txn.delete(ledger)
        NAMED.drop_name(txn, tenant.name)
        txn.event(
            "tenant.removed",
            target(tenant),
            tenant_id=tenant_id,
            before=found.revision,
            used=used.value.used.as_dict() if used else None,
        )
        return True
