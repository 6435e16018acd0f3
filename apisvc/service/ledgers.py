"""The ledger: what a tenant's instances take, kept beside its quota.

Always changed in the transaction that changes the instance, and always
guarded, so no race can overspend a quota.
"""

from apisvc import errors
from apisvc.model import keys, tenants
from apisvc.service import transaction


def charge(txn: transaction.Transaction, tenant: tenants.Tenant, amounts: tenants.Amounts) -> tenants.Amounts:
    """Add ``amounts``; what shrinks may be negative. Returns what is used then.

    :raises QuotaExceeded: naming every resource that would grow past its limit.
    """
    used = _read(txn, tenant.id)
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
    return _write(txn, tenant.id, used.plus(amounts))


def release(txn: transaction.Transaction, tenant_id: str, amounts: tenants.Amounts) -> tenants.Amounts:
    """Give ``amounts`` back; returns what is used then."""
    return _write(txn, tenant_id, _read(txn, tenant_id).minus(amounts))


def _read(txn: transaction.Transaction, tenant_id: str) -> tenants.Amounts:
    ledger = txn.read(keys.join(keys.LEDGERS, tenant_id), tenants.Ledger)
    return ledger.value.used if ledger else tenants.Amounts()


def _write(txn: transaction.Transaction, tenant_id: str, used: tenants.Amounts) -> tenants.Amounts:
    txn.put(keys.join(keys.LEDGERS, tenant_id), tenants.Ledger(tenant_id=tenant_id, used=used))
    return used
