"""Shapes of quotas and usage."""

from typing import Annotated

import msgspec

from apisvc.model import tenants
from apisvc.schemas import base

Limit = Annotated[
    int, msgspec.Meta(description="A limit; -1 is unlimited.", ge=-1, le=1_000_000_000, examples=[20])
]
Amount = Annotated[int, msgspec.Meta(description="An amount.", ge=0)]
Free = Annotated[int | None, msgspec.Meta(description="What may still be asked for; null: no limit.")]


class QuotaUpdate(base.Body, frozen=True, kw_only=True):
    """Limits to set. One below what is used takes nothing away; it keeps new things out."""

    instances: Limit | msgspec.UnsetType = msgspec.UNSET
    vcpus: Limit | msgspec.UnsetType = msgspec.UNSET
    ram_mb: Limit | msgspec.UnsetType = msgspec.UNSET
    disk_gb: Limit | msgspec.UnsetType = msgspec.UNSET


class Limits(base.View, frozen=True, kw_only=True):
    """What a tenant may use."""

    instances: Limit
    vcpus: Limit
    ram_mb: Limit
    disk_gb: Limit


class Amounts(base.View, frozen=True, kw_only=True):
    """What a tenant uses."""

    instances: Amount
    vcpus: Amount
    ram_mb: Amount
    disk_gb: Amount


class FreeAmounts(base.View, frozen=True, kw_only=True):
    """What a tenant may still ask for."""

    instances: Free
    vcpus: Free
    ram_mb: Free
    disk_gb: Free


class QuotaView(base.View, frozen=True, kw_only=True):
    """A tenant's limits. Its revision is the tenant's."""

    tenant_id: base.Id
    limits: Limits
    updated_at: base.Timestamp
    revision: base.Revision


class UsageView(base.View, frozen=True, kw_only=True):
    """A tenant's limits, what it uses of them and what is free."""

    tenant_id: base.Id
    tenant_name: base.Name
    limits: Limits
    used: Amounts
    free: FreeAmounts


class UsageList(base.View, frozen=True, kw_only=True):
    """A page of usages, one a tenant."""

    usage: list[UsageView]
    next: str | None


def limits(quota: tenants.Amounts) -> Limits:
    return Limits(**quota.as_dict())


def view(tenant: tenants.Tenant, revision: int) -> QuotaView:
    return QuotaView(
        tenant_id=tenant.id,
        limits=limits(tenant.quota),
        updated_at=base.timestamp(tenant.updated_at),
        revision=revision,
    )


def usage_view(tenant: tenants.Tenant, used: tenants.Amounts) -> UsageView:
    """What a tenant uses. Nothing is free below zero, also when a limit was lowered."""
    asked, taken = tenant.quota.as_dict(), used.as_dict()
    free = {field: None if limit < 0 else max(0, limit - taken[field]) for field, limit in asked.items()}
    return UsageView(
        tenant_id=tenant.id,
        tenant_name=tenant.name,
        limits=limits(tenant.quota),
        used=Amounts(**taken),
        free=FreeAmounts(**free),
    )
