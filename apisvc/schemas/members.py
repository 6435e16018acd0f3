"""Shapes of members."""

from typing import Annotated

import msgspec

from apisvc.model import codec, identity, tenants, users
from apisvc.schemas import base

Role = Annotated[
    identity.Role,
    msgspec.Meta(description="`manager`, `member` or `reader`; each may do what those after it may."),
]


class MemberPut(base.Body, frozen=True, kw_only=True):
    """The role that the user is to have."""

    role: Role


class MemberView(base.View, frozen=True, kw_only=True):
    """A user in a tenant."""

    id: Annotated[
        base.Id, msgspec.Meta(description="The user's id: a tenant's members are told apart by it.")
    ]
    tenant_id: base.Id
    user_id: base.Id
    user_name: Annotated[
        base.Name | None, msgspec.Meta(description="null: the user is being deleted at this moment.")
    ]
    role: Role
    created_at: base.Timestamp
    updated_at: base.Timestamp
    revision: base.Revision


class MemberList(base.View, frozen=True, kw_only=True):
    """A page of members."""

    members: list[MemberView]
    next: str | None


def view(member: tenants.Member, user: codec.Versioned[users.User] | None, revision: int) -> MemberView:
    return MemberView(
        id=member.user_id,
        tenant_id=member.tenant_id,
        user_id=member.user_id,
        user_name=user.value.name if user else None,
        role=member.role,
        created_at=base.timestamp(member.created_at),
        updated_at=base.timestamp(member.updated_at),
        revision=revision,
    )
