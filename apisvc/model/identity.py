"""Who is calling."""

import enum
from collections.abc import Mapping
from typing import Any

import msgspec


class Role(enum.StrEnum):
    """A member's role in a tenant; each one includes those after it."""

    MANAGER = "manager"
    MEMBER = "member"
    READER = "reader"

    @property
    def implied(self) -> tuple[str, ...]:
        """Itself and every lesser role."""
        return _IMPLIED[self]

    def capped(self, cap: "Role | None") -> "Role":
        """The lesser of the two."""
        return self if cap is None else max(self, cap, key=list(Role).index)


#: PERF: asked with every request.
_IMPLIED = {role: tuple(role.value for role in list(Role)[index:]) for index, role in enumerate(Role)}


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What the authority that knows the caller has in a tenant's place: Keystone's project."""

    #: The id of its tenant, which is made where there is none.
    tenant_id: str
    #: As it is called there; the tenant is called so as far as that can be.
    name: str
    description: str = ""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller, before it is known in which tenant it acts."""

    user_id: str
    user_name: str
    #: Has the system role ``admin``, and its token does not take it away.
    admin: bool = False
    #: Where not None: the token is good in this tenant only.
    scope_tenant_id: str | None = None
    #: Where not None: the token grants at most this role.
    scope_role: Role | None = None
    token_id: str | None = None
    #: Roles by tenant id that the credential itself carries (Keystone); the
    #: members in the store are asked where a tenant is not in here.
    roles: Mapping[str, Role] = {}
    #: Where not None: the credential's own tenant, to be made where there is none.
    project: Project | None = None
    #: Which auth driver said so.
    source: str = "token"

    def credentials(self, tenant_id: str | None, role: Role | None) -> dict[str, Any]:
        """What oslo.policy checks against, acting in ``tenant_id`` with ``role``."""
        roles = list(role.implied) if role else []
        if self.admin:
            roles = ["admin", *Role.MANAGER.implied]
        return {
            "user_id": self.user_id,
            "project_id": tenant_id,
            "roles": roles,
            "system_scope": "all" if self.admin else None,
        }
