"""Shapes of users."""

from typing import Annotated

import msgspec

from apisvc.model import identity, users
from apisvc.schemas import base

_EMAIL_PATTERN = r"^([^\x00-\x20\x7f@]+@[^\x00-\x20\x7f@]+)?$(?!\n)"
base.EXPLAINED[_EMAIL_PATTERN] = "an e-mail address, or empty"

Email = Annotated[
    str,
    msgspec.Meta(
        description="An e-mail address, or empty; nothing is ever sent to it.",
        max_length=254,
        pattern=_EMAIL_PATTERN,
        examples=["ada@example.org"],
    ),
]
Enabled = Annotated[bool, msgspec.Meta(description="A disabled user's tokens are refused at once.")]
Admin = Annotated[bool, msgspec.Meta(description="Has the system role `admin`.")]


class UserCreate(base.Body, frozen=True, kw_only=True):
    """A new user."""

    name: base.Name
    description: base.Description = ""
    email: Email = ""
    enabled: Enabled = True
    admin: Admin = False


class UserUpdate(base.Body, frozen=True, kw_only=True):
    """What to change. The last enabled admin stays one."""

    name: base.Name | msgspec.UnsetType = msgspec.UNSET
    description: base.Description | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType = msgspec.UNSET
    enabled: Enabled | msgspec.UnsetType = msgspec.UNSET
    admin: Admin | msgspec.UnsetType = msgspec.UNSET


class UserQuery(base.NamedQuery, frozen=True, kw_only=True):
    """Which users."""

    enabled: Annotated[bool | None, msgspec.Meta(description="Only the enabled, or the disabled.")] = None
    admin: Annotated[bool | None, msgspec.Meta(description="Only admins, or only others.")] = None


class UserView(base.View, frozen=True, kw_only=True):
    """A user."""

    id: base.Id
    name: base.Name
    description: base.Description
    email: Email
    enabled: Enabled
    admin: Admin
    created_at: base.Timestamp
    updated_at: base.Timestamp
    revision: base.Revision


class UserList(base.View, frozen=True, kw_only=True):
    """A page of users."""

    users: list[UserView]
    next: str | None


class Access(base.View, frozen=True, kw_only=True):
    """What the token of this request allows."""

    token_id: base.Id | None
    tenant_id: Annotated[
        base.Id | None, msgspec.Meta(description="The only tenant it is good in; null: all of the user's.")
    ]
    role: Annotated[
        identity.Role | None, msgspec.Meta(description="The role it is limited to; null: not limited.")
    ]
    admin: Annotated[bool, msgspec.Meta(description="Whether it has the system role `admin`.")]


class SelfView(UserView, frozen=True, kw_only=True):
    """The caller."""

    access: Access


def view(user: users.User, revision: int) -> UserView:
    return UserView(
        id=user.id,
        name=user.name,
        description=user.description,
        email=user.email,
        enabled=user.enabled,
        admin=user.admin,
        created_at=base.timestamp(user.created_at),
        updated_at=base.timestamp(user.updated_at),
        revision=revision,
    )


def self_view(user: users.User, revision: int, caller: identity.Identity) -> SelfView:
    access = Access(
        token_id=caller.token_id,
        tenant_id=caller.scope_tenant_id,
        role=caller.scope_role,
        admin=caller.admin,
    )
    return SelfView(**msgspec.structs.asdict(view(user, revision)), access=access)
