"""Quotas and what is used of them: limits in the tenant's record, usage in its ledger."""

import dataclasses
from collections.abc import Mapping

import msgspec

from apisvc.model import codec, keys, tenants
from apisvc.service import context, listing, records, transaction
from apisvc.service import tenants as tenant_rules


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """A tenant's limits and what it uses of them."""

    tenant: codec.Versioned[tenants.Tenant]
    used: tenants.Amounts


@dataclasses.dataclass(frozen=True, slots=True)
class UsagePage:
    items: tuple[Usage, ...]
    marker: str | None


class Quotas:
    def __init__(self, transactor: transaction.Transactor) -> None:
        self._transactor = transactor
        self._store = transactor.store

    def usage(self, ctx: context.Context, tenant: codec.Versioned[tenants.Tenant]) -> Usage:
        """What the tenant uses at this moment."""
        return self._usages(ctx, (tenant,))[0]

    def list_usage(self, ctx: context.Context, page: listing.Page) -> UsagePage:
        """The usage of all tenants, oldest first."""
        found = listing.scan(self._store, keys.TENANTS, tenants.Tenant, page, deadline=ctx.deadline)
        return UsagePage(self._usages(ctx, tuple(found.items)), found.marker)

    def _usages(
        self, ctx: context.Context, found: tuple[codec.Versioned[tenants.Tenant], ...]
    ) -> tuple[Usage, ...]:
        wanted = [keys.join(keys.LEDGERS, tenant.value.id) for tenant in found]
        ledgers = records.get_many(self._store, wanted, tenants.Ledger, deadline=ctx.deadline)
        return tuple(
            # Without a ledger the tenant was removed between the two reads.
            Usage(tenant, ledger.value.used if ledger else tenants.Amounts())
            for tenant, ledger in zip(found, ledgers, strict=True)
        )

    def update(
        self, ctx: context.Context, tenant_ref: str, limits: Mapping[str, int]
    ) -> transaction.Committed[tenants.Tenant]:
        """Set some limits; -1 is unlimited.

        A limit may be set below what is used: that takes nothing away, and
        only keeps new things out.
        """
        tenant_id = tenant_rules.NAMED.get(self._store, tenant_ref, deadline=ctx.deadline).value.id

        def work(txn: transaction.Transaction) -> tenants.Tenant:
            before = tenant_rules.NAMED.read(txn, tenant_id)
            txn.match(before)
            tenant_rules.require_staying(before.value)
            quota = msgspec.structs.replace(before.value.quota, **limits)
            after = msgspec.structs.replace(before.value, quota=quota, updated_at=txn.now)
            tenant_rules.write(txn, "quota.update", before, after)
            return after

        return self._transactor.transact(ctx, work)
