"""The first admin, without whom nobody could make anybody."""

import dataclasses
from typing import TYPE_CHECKING

from apisvc import errors
from apisvc.model import users
from apisvc.service import context, listing, tokens
from apisvc.service import users as user_rules

if TYPE_CHECKING:
    from apisvc.service import services

TOKEN_NAME = "bootstrap"


@dataclasses.dataclass(frozen=True, slots=True)
class Admin:
    """``token`` is the text of the token made now; None: there is one already, whose text is nowhere."""

    user: users.User
    token: str | None = dataclasses.field(repr=False)


def ensure_admin(
    ctx: context.Context,
    service: "services.Services",
    *,
    name: str = "admin",
    anew: bool = False,
    text: str | None = None,
) -> Admin:
    """Make sure that the user ``name`` is an enabled admin and has a token that may act as one.

    Repeated, it changes nothing. ``anew``: make a further token all the same
    (the text of the old one is lost). ``text``: the text that the token is to have.
    """
    user = _ensure_user(ctx, service, name)
    if text is None and not anew and _has_token(ctx, service, user):
        return Admin(user, None)
    grant = tokens.Grant(name=TOKEN_NAME, admin=True)
    try:
        return Admin(user, service.tokens.create(ctx, user.id, grant, text=text).result.text)
    except errors.AlreadyExists:  # this very text
        return Admin(user, None)


def _ensure_user(ctx: context.Context, service: "services.Services", name: str) -> users.User:
    found = user_rules.NAMED.find(service.store, name, deadline=ctx.deadline)
    if found is None:
        try:
            return service.users.create(ctx, name=name, description="First admin", admin=True).result
        except errors.AlreadyExists:  # another process was quicker
            found = service.users.get(ctx, name)
    if found.value.admin and found.value.enabled:
        return found.value
    return service.users.update(ctx, found.value.id, {"admin": True, "enabled": True}).result


def _has_token(ctx: context.Context, service: "services.Services", user: users.User) -> bool:
    """Whether a token of the user may act as admin and has not expired."""
    now = service.transactor.clock.now()
    page = listing.Page(limit=100)
    while True:
        found = service.tokens.list(ctx, user.id, page)
        for token in found.items:
            if token.value.admin and (token.value.expires_at is None or token.value.expires_at > now):
                return True
        if found.marker is None:
            return False
        page = listing.Page(limit=100, marker=found.marker)
