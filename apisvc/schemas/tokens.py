"""Shapes of tokens."""

from typing import Annotated

import msgspec

from apisvc.model import identity, users
from apisvc.schemas import base

_LABEL_PATTERN = r"^[^\x00-\x1f\x7f]*$(?!\n)"
base.EXPLAINED[_LABEL_PATTERN] = "text without control characters"

TokenName = Annotated[
    str,
    msgspec.Meta(
        description="What people call it; need not be unique.",
        max_length=63,
        pattern=_LABEL_PATTERN,
        examples=["laptop"],
    ),
]


Lifetime = Annotated[
    int,
    msgspec.Meta(
        description="Seconds until it expires; the default and the maximum are the service's.",
        ge=1,
        examples=[86400],
    ),
]


class TokenCreate(base.Body, frozen=True, kw_only=True):
    """A new token. It never allows more than the token that makes it."""

    name: TokenName = ""
    tenant: Annotated[
        base.Ref | None,
        msgspec.Meta(description="Good in this tenant only, of which the user is a member (id or name)."),
    ] = None
    role: Annotated[
        identity.Role | None, msgspec.Meta(description="Allows at most what this role allows.")
    ] = None
    admin: Annotated[
        bool, msgspec.Meta(description="May act as admin, if the user is one; not with `tenant` or `role`.")
    ] = False
    lifetime: Lifetime | None = None


class TokenView(base.View, frozen=True, kw_only=True):
    """A token, without its text, which was shown only when it was made."""

    id: base.Id
    user_id: base.Id
    name: TokenName
    hint: Annotated[str, msgspec.Meta(description="How its text begins.")]
    tenant_id: Annotated[
        base.Id | None, msgspec.Meta(description="The only tenant it is good in; null: all of the user's.")
    ]
    role: Annotated[
        identity.Role | None, msgspec.Meta(description="The role it is limited to; null: not limited.")
    ]
    admin: Annotated[bool, msgspec.Meta(description="Whether it may act as admin.")]
    created_at: base.Timestamp
    expires_at: base.Timestamp | None
    last_used_at: Annotated[
        base.Timestamp | None, msgspec.Meta(description="May lag behind by some minutes; null: never.")
    ]
    revision: base.Revision


class TokenList(base.View, frozen=True, kw_only=True):
    """A page of tokens."""

    tokens: list[TokenView]
    next: str | None


class TokenMade(TokenView, frozen=True, kw_only=True):
    """A new token with its text."""

    token: Annotated[str, msgspec.Meta(description="The token itself. Keep it now: it is not shown again.")]


def view(token: users.Token, revision: int) -> TokenView:
    return TokenView(
        id=token.id,
        user_id=token.user_id,
        name=token.name,
        hint=token.hint,
        tenant_id=token.tenant_id,
        role=token.role,
        admin=token.admin,
        created_at=base.timestamp(token.created_at),
        expires_at=base.timestamp(token.expires_at),
        last_used_at=base.timestamp(token.last_used_at),
        revision=revision,
    )


def made_view(token: users.Token, text: str, revision: int) -> TokenMade:
    return TokenMade(**msgspec.structs.asdict(view(token, revision)), token=text)
