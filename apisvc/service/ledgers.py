"""The ledger: what a tenant's instances take, kept beside its quota.

Always changed in the transaction that changes the instance, and always
guarded, so no race can overspend a quota.
"""

import collections
from collections.abc import Iterator

from apisvc import errors
from apisvc.model import codec, instances, keys, tenants
from apisvc.service import transaction
from apisvc.storage import base as storage


def read(txn: transaction.Transaction, tenant_id: str) -> tenants.Ledger:
    """The tenant's ledger, guarded."""
    found = txn.read(keys.join(keys.LEDGERS, tenant_id), tenants.Ledger)
    return found.value if found else tenants.Ledger(tenant_id=tenant_id)


def charge(
    txn: transaction.Transaction,
    tenant: tenants.Tenant,
    ledger: tenants.Ledger,
    amounts: tenants.Amounts,
    backend: str,
) -> tenants.Ledger:
    """Add ``amounts`` on ``backend`` to ``ledger``, as :func:`read`; what shrinks may be negative.

    :raises QuotaExceeded: naming every resource that would grow past its limit.
    """
    used = ledger.used
    exceeded = [
        {"resource": name, "limit": limit, "used": has, "asked": asked, "free": max(0, limit - has)}
        for name, asked in amounts.as_dict().items()
        if asked > 0
        and (limit := getattr(tenant.quota, name)) != -1
        and (has := getattr(used, name)) + asked > limit
    ]
    if exceeded:
        raise errors.QuotaExceeded(
            "The quota of the tenant does not allow this: "
            + "; ".join(
                f"{e['resource']}: {e['asked']} asked, {e['free']} free ({e['used']} of {e['limit']} used)"
                for e in exceeded
            )
            + ".",
            exceeded=exceeded,
        )
    return _write(txn, ledger, used.plus(amounts), backend, amounts.instances)


def release(
    txn: transaction.Transaction, tenant_id: str, amounts: tenants.Amounts, backend: str
) -> tenants.Ledger:
    """Give ``amounts`` on ``backend`` back."""
    ledger = read(txn, tenant_id)
    return _write(txn, ledger, ledger.used.minus(amounts), backend, -amounts.instances)


def _write(
    txn: transaction.Transaction, ledger: tenants.Ledger, used: tenants.Amounts, backend: str, more: int
) -> tenants.Ledger:
    on = ledger.on
    if more:
        on = {**on, backend: on.get(backend, 0) + more}
        if on[backend] <= 0:
            del on[backend]
    after = tenants.Ledger(tenant_id=ledger.tenant_id, used=used, on=on)
    txn.put(keys.join(keys.LEDGERS, ledger.tenant_id), after)
    return after


def on_backends(store: storage.Store, *, deadline: float | None) -> dict[str, int]:
    """How many instances are on each backend that has any, of all tenants: one record a tenant is read."""
    found: collections.Counter[str] = collections.Counter()
    for page in storage.pages(store, keys.LEDGERS, deadline=deadline):
        for record in page.records:
            ledger = codec.decode(record.value, tenants.Ledger)
            if sum(ledger.on.values()) == ledger.used.instances:
                found.update(ledger.on)
            else:  # written before ledgers told where
                found.update(_listed(store, ledger.tenant_id, deadline))
    return dict(found)


def _listed(store: storage.Store, tenant_id: str, deadline: float | None) -> Iterator[str]:
    """The backend of each instance of a tenant."""
    for page in storage.pages(store, keys.under(keys.INSTANCES, tenant_id), deadline=deadline):
        for record in page.records:
            yield codec.decode(record.value, instances.Instance).spec.backend
