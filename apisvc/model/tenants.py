"""Tenants, their members, quota and ledger."""

import enum

import msgspec

from apisvc.model import identity


class TenantState(enum.StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"  # reads and deletes go on; nothing new
    REMOVING = "removing"  # being emptied; ends with the record gone


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What instances take. In a quota -1 is unlimited."""

    instances: int = 0
    vcpus: int = 0
    ram_mb: int = 0
    disk_gb: int = 0

    def plus(self, other: "Amounts", sign: int = 1) -> "Amounts":
        return Amounts(**{f: getattr(self, f) + sign * getattr(other, f) for f in self.__struct_fields__})

    def minus(self, other: "Amounts") -> "Amounts":
        return self.plus(other, -1)

    def as_dict(self) -> dict[str, int]:
        return {f: getattr(self, f) for f in self.__struct_fields__}


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str = ""
    labels: dict[str, str] = {}
    state: TenantState = TenantState.ENABLED
    #: Limits; a key of ``quotas/`` would make a second read of every create.
    quota: Amounts
    created_at: float
    updated_at: float


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's used amounts. Changes only in the transaction that changes an instance's claim on them."""

    tenant_id: str
    used: Amounts = Amounts()
    #: How many of the instances are on which backend; those with none are not named.
    on: dict[str, int] = {}


class Member(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: str
    user_id: str
    role: identity.Role
    created_at: float
    updated_at: float
