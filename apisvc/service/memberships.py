"""Where a caller is at home: for what it lists of its own over all its tenants."""

from apisvc import errors
from apisvc.model import identity, keys
from apisvc.service import context
from apisvc.storage import base as storage


def caller(ctx: context.Context) -> identity.Identity:
    """Who calls, or Unauthenticated: the system itself has nothing of its own."""
    if ctx.identity is None:
        raise errors.Unauthenticated()
    return ctx.identity


def tenants_of(store: storage.Store, ctx: context.Context) -> list[str]:
    """Ids of the tenants that the caller is a member of and its token is good in, sorted."""
    who = caller(ctx)
    found = set(who.roles)
    place = keys.under(keys.MEMBERSHIPS, who.user_id)
    for page in storage.pages(store, place, deadline=ctx.deadline):
        found.update(keys.last(record.key) for record in page.records)
    return sorted(found if who.scope_tenant_id is None else found & {who.scope_tenant_id})
