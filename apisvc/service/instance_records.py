"""Where instances are kept, what each write to one needs, and its event."""

import functools
from typing import Any

from apisvc.model import events, instances, keys, tenants
from apisvc.service import records, transaction
from apisvc.service import tenants as tenant_rules


@functools.lru_cache(maxsize=1024)  # PERF: asked with every request
def named(tenant_id: str) -> records.Named[instances.Instance]:
    """The instances of a tenant."""
    return records.Named(
        "instance",
        instances.Instance,
        keys.under(keys.INSTANCES, tenant_id),
        keys.under(keys.INSTANCE_NAMES, tenant_id),
    )


def enabled_tenant(txn: transaction.Transaction, tenant_id: str) -> tenants.Tenant:
    """The tenant, guarded: it is still enabled when the transaction commits."""
    tenant = tenant_rules.NAMED.read(txn, tenant_id).value
    tenant_rules.require_enabled(tenant)
    return tenant


def event(
    txn: transaction.Transaction,
    verb: str,
    instance: instances.Instance,
    *,
    before: int | None = None,
    **detail: Any,
) -> None:
    """Record ``instance.<verb>`` as part of the transaction."""
    target = events.Target(kind="instance", id=instance.id, name=instance.name)
    txn.event(f"instance.{verb}", target, tenant_id=instance.tenant_id, before=before, **detail)
