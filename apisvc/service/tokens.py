"""Tokens: made and shown once, listed by their hints, revoked."""

import dataclasses
import secrets

import msgspec
from oslo_config import cfg

from apisvc import errors
from apisvc.model import codec, events, identity, keys, tenants, users
from apisvc.service import context, listing, records, removal, transaction
from apisvc.service import tenants as tenant_rules
from apisvc.service import users as user_rules

#: Characters of a token's text, prefix included, that its record shows.
_HINT = len(users.TOKEN_PREFIX) + 4


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A new token and its text, which is nowhere else."""

    token: users.Token
    text: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token is to allow. ``tenant``: id or name. ``lifetime`` in seconds; None: that of ``[token]``."""

    name: str = ""
    tenant: str | None = None
    role: identity.Role | None = None
    admin: bool = False
    lifetime: int | None = None


class Tokens:
    def __init__(self, transactor: transaction.Transactor, conf: cfg.ConfigOpts) -> None:
        self._transactor = transactor
        self._store = transactor.store
        self._conf = conf

    # Reading

    def list(self, ctx: context.Context, user_id: str, page: listing.Page) -> listing.Listed[users.Token]:
        """A user's tokens, oldest first; by a token of one tenant, those of that tenant."""
        prefix = keys.under(keys.TOKEN_IDS, user_id)
        entries = listing.scan(self._store, prefix, str, page, deadline=ctx.deadline)
        wanted = [keys.join(keys.TOKENS, entry.value) for entry in entries.items]
        found = records.get_many(self._store, wanted, users.Token, deadline=ctx.deadline)
        shown = [token for token in found if token is not None and _in_scope(ctx.identity, token.value)]
        return listing.Listed(shown, entries.marker)

    def get(self, ctx: context.Context, user_id: str, token_id: str) -> codec.Versioned[users.Token]:
        """The user's token with this id."""
        return self._find(ctx, user_id, token_id)[1]

    def _find(
        self, ctx: context.Context, user_id: str, token_id: str
    ) -> tuple[str, codec.Versioned[users.Token]]:
        if not records.is_id(token_id):
            raise errors.NotFound.of("token", token_id)
        entry = keys.join(keys.TOKEN_IDS, user_id, token_id.lower())
        digest = records.get_many(self._store, [entry], str, deadline=ctx.deadline)[0]
        if digest is not None:
            key = keys.join(keys.TOKENS, digest.value)
            token = records.get_many(self._store, [key], users.Token, deadline=ctx.deadline)[0]
            if token is not None and _in_scope(ctx.identity, token.value):
                return digest.value, token
        raise errors.NotFound.of("token", token_id)

    # Writing

    def create(
        self, ctx: context.Context, user_id: str, grant: Grant, *, text: str | None = None
    ) -> transaction.Committed[Made]:
        """A new token of the user; what the caller's own token is limited to limits it too.

        ``text``: the token's text, when it is already known (development seeds).

        :raises InvalidRequest: an admin's token with a tenant or role; too long a lifetime.
        :raises Forbidden: more rights than the caller's token or the user has.
        :raises WrongState: the user or the tenant is disabled.
        """
        grant = _limited(ctx.identity, grant)
        tenant_id = self._tenant_id(ctx, grant.tenant)
        lifetime = self._lifetime(grant)
        text = text or users.TOKEN_PREFIX + secrets.token_urlsafe(32)
        digest = users.token_digest(text)
        if digest is None:
            raise errors.InvalidRequest(
                f"A token is {users.TOKEN_PREFIX!r} and the base64url of 32 random bytes."
            )

        def work(txn: transaction.Transaction) -> Made:
            user = user_rules.NAMED.read(txn, user_id).value
            user_rules.require_enabled(user)
            if grant.admin and not user.admin:
                raise errors.Forbidden(f"User {user.name!r} is no admin.")
            if tenant_id is not None:
                _require_member(txn, tenant_id, user, grant.tenant)
            token = users.Token(
                id=txn.ids.new(),
                user_id=user_id,
                name=grant.name,
                hint=text[:_HINT],
                tenant_id=tenant_id,
                role=grant.role,
                admin=grant.admin,
                created_at=txn.now,
                expires_at=txn.now + lifetime,
            )
            _put(txn, digest, token, user)
            return Made(token, text)

        return self._transactor.transact(ctx, work)

    def _tenant_id(self, ctx: context.Context, ref: str | None) -> str | None:
        if ref is None:
            return None
        tenant_id = tenant_rules.NAMED.resolve(self._store, ref, deadline=ctx.deadline)
        scope = ctx.identity.scope_tenant_id if ctx.identity else None
        # APPSEC: a tenant that is there and one that is not must look alike from outside of it.
        if tenant_id is None or scope not in (None, tenant_id):
            raise _no_such_tenant(ref)
        return tenant_id

    def _lifetime(self, grant: Grant) -> int:
        longest = int(self._conf.token.max_lifetime)
        if grant.lifetime is None:
            return min(int(self._conf.token.lifetime), longest)
        if grant.lifetime > longest:
            problem = errors.FieldError("/lifetime", f"At most {longest} seconds.")
            raise errors.InvalidRequest("The token would live too long.", errors=(problem,))
        return grant.lifetime

    def delete(self, ctx: context.Context, user_id: str, token_id: str) -> None:
        """Revoke a token; from the next request on it is good for nothing.

        :raises Forbidden: it has more rights than the caller's own token.
        """
        digest, found = self._find(ctx, user_id, token_id)
        if not _within(ctx.identity, found.value):
            raise errors.Forbidden("This token cannot revoke one with more rights than its own.")

        def work(txn: transaction.Transaction) -> None:
            token = txn.read(keys.join(keys.TOKENS, digest), users.Token)
            if token is None:
                raise errors.NotFound.of("token", token_id)
            txn.match(token)
            removal.drop_token(txn, digest, token)

        self._transactor.transact(ctx, work)


def _limited(who: identity.Identity | None, grant: Grant) -> Grant:
    """``grant`` with the caller's own limits where it names none; Forbidden where it goes beyond them."""
    if who is not None:
        if grant.admin and not who.admin:
            raise errors.Forbidden("Only an admin's token can make one with the role admin.")
        if who.scope_tenant_id is not None and grant.tenant is None:
            grant = dataclasses.replace(grant, tenant=who.scope_tenant_id)
        if who.scope_role is not None:
            if grant.role is not None and grant.role.capped(who.scope_role) != grant.role:
                raise errors.Forbidden(f"This token has at most the role {who.scope_role.value}.")
            grant = dataclasses.replace(grant, role=grant.role or who.scope_role)
    if grant.admin and (grant.tenant is not None or grant.role is not None):
        raise errors.InvalidRequest(
            "A token with the role admin cannot be limited to a tenant or a role.",
            errors=(errors.FieldError("/admin", "Leave it out, or leave out tenant and role."),),
        )
    return grant


def _in_scope(who: identity.Identity | None, token: users.Token) -> bool:
    """Whether the caller may know of ``token``: from within one tenant nothing is seen of others."""
    return who is None or who.scope_tenant_id in (None, token.tenant_id)


def _within(who: identity.Identity | None, token: users.Token) -> bool:
    """Whether the caller's own token has all the rights of ``token``."""
    if who is None or who.admin or who.token_id == token.id:
        return True
    return (
        not token.admin
        and _in_scope(who, token)
        and (
            who.scope_role is None
            or (token.role is not None and token.role.capped(who.scope_role) == token.role)
        )
    )


def _no_such_tenant(ref: str | None) -> errors.InvalidRequest:
    """Says the same of a tenant that is not there and of one that the user is not in."""
    detail = f"There is no tenant {ref!r} that the user is a member of."
    return errors.InvalidRequest(detail, errors=(errors.FieldError("/tenant", detail),))


def _require_member(txn: transaction.Transaction, tenant_id: str, user: users.User, ref: str | None) -> None:
    """A token for a tenant is for its members."""
    tenant, member = txn.read_many(
        [
            (keys.join(keys.TENANTS, tenant_id), tenants.Tenant),
            (keys.join(keys.MEMBERS, tenant_id, user.id), tenants.Member),
        ]
    )
    if tenant is None or member is None:
        raise _no_such_tenant(ref)
    tenant_rules.require_enabled(tenant.value)


def _put(txn: transaction.Transaction, digest: str, token: users.Token, user: users.User) -> None:
    """A new token under its keys, with the event."""
    key = keys.join(keys.TOKENS, digest)
    if txn.read(key, users.Token) is not None:
        raise errors.AlreadyExists("There is a token with this text already.")
    txn.put(key, token)
    txn.put(keys.join(keys.TOKEN_IDS, token.user_id, token.id), digest)
    if token.tenant_id is not None:
        txn.put(keys.join(keys.TOKEN_TENANTS, token.tenant_id, token.id), digest)
    # APPSEC: the tenant's people read this; what the token begins with is its owner's.
    spec = {name: value for name, value in msgspec.to_builtins(token).items() if name != "hint"}
    txn.event(
        "token.create",
        events.Target(kind="token", id=token.id, name=token.name),
        tenant_id=token.tenant_id,
        spec=spec,
        user_name=user.name,
    )
