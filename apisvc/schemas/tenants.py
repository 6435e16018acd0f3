"""Shapes of tenants."""

import enum
from typing import Annotated

import msgspec

from apisvc.model import identity, tenants
from apisvc.schemas import base, quotas


class Switch(enum.StrEnum):
    """The states that can be asked for."""

    ENABLED = "enabled"
    DISABLED = "disabled"


State = Annotated[
    tenants.TenantState,
    msgspec.Meta(
        description="`enabled`; `disabled`: reads and deletes go on, nothing new; `removing`: being emptied."
    ),
]


class TenantCreate(base.Body, frozen=True, kw_only=True):
    """A new tenant. Limits that `quota` does not name are the deployment's defaults."""

    name: base.Name
    id: (
        Annotated[
            str,
            msgspec.Meta(
                description="The id it is to have: that of the Keystone project whose users act in it, with "
                "dashes or without. Otherwise it gets one.",
                pattern=base.GIVEN_ID_PATTERN,
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    description: base.Description = ""
    labels: base.Labels = {}
    quota: quotas.QuotaUpdate = quotas.QuotaUpdate()


class TenantUpdate(base.Body, frozen=True, kw_only=True):
    """What to change; `labels` is replaced as a whole."""

    name: base.Name | msgspec.UnsetType = msgspec.UNSET
    description: base.Description | msgspec.UnsetType = msgspec.UNSET
    labels: base.Labels | msgspec.UnsetType = msgspec.UNSET
    state: (
        Annotated[Switch, msgspec.Meta(description="In a disabled tenant nothing new can be made.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class TenantQuery(base.NamedQuery, frozen=True, kw_only=True):
    """Which tenants."""

    state: Annotated[tenants.TenantState | None, msgspec.Meta(description="Only those in this state.")] = None
    label: tuple[base.LabelFilter, ...] = ()


class TenantView(base.View, frozen=True, kw_only=True):
    """A tenant."""

    id: base.Id
    name: base.Name
    description: base.Description
    labels: base.Labels
    state: State
    quota: quotas.Limits
    created_at: base.Timestamp
    updated_at: base.Timestamp
    revision: base.Revision


class TenantList(base.View, frozen=True, kw_only=True):
    """A page of tenants."""

    tenants: list[TenantView]
    next: str | None


class OwnTenantView(TenantView, frozen=True, kw_only=True):
    """A tenant as the caller meets it."""

    role: Annotated[
        identity.Role | None,
        msgspec.Meta(description="The caller's role in it; null: none, but the caller is an admin."),
    ]


class OwnTenantList(base.View, frozen=True, kw_only=True):
    """A page of the caller's tenants."""

    tenants: list[OwnTenantView]
    next: str | None


def view(tenant: tenants.Tenant, revision: int) -> TenantView:
    return TenantView(
        id=tenant.id,
        name=tenant.name,
        description=tenant.description,
        labels=tenant.labels,
        state=tenant.state,
        quota=quotas.limits(tenant.quota),
        created_at=base.timestamp(tenant.created_at),
        updated_at=base.timestamp(tenant.updated_at),
        revision=revision,
    )


def own_view(tenant: tenants.Tenant, revision: int, role: identity.Role | None) -> OwnTenantView:
    return OwnTenantView(**msgspec.structs.asdict(view(tenant, revision)), role=role)
