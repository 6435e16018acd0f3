"""Members: which user has which role in which tenant."""

import dataclasses

import msgspec

from apisvc import errors
from apisvc.model import codec, events, identity, keys, tenants, users
from apisvc.service import context, listing, records, removal, transaction
from apisvc.service import tenants as tenant_rules
from apisvc.service import users as user_rules


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    """A member with the record at its other end, for its name; None: that has just been removed."""

    member: codec.Versioned[tenants.Member]
    user: codec.Versioned[users.User] | None = None
    tenant: codec.Versioned[tenants.Tenant] | None = None
    #: Whether it was not there before.
    new: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NamedPage:
    items: tuple[Named, ...]
    marker: str | None


class Members:
    def __init__(self, transactor: transaction.Transactor) -> None:
        self._transactor = transactor
        self._store = transactor.store

    # Reading

    def get(self, ctx: context.Context, tenant_id: str, user_ref: str) -> Named:
        """The member that the user with this id or name is; NotFound alike for no user and no member."""
        user = user_rules.NAMED.find(self._store, user_ref, deadline=ctx.deadline)
        if user is None:
            raise errors.NotFound.of("member", user_ref)
        key = keys.join(keys.MEMBERS, tenant_id, user.value.id)
        member = records.get_many(self._store, [key], tenants.Member, deadline=ctx.deadline)[0]
        if member is None:
            raise errors.NotFound.of("member", user_ref)
        return Named(member, user=user)

    def of_tenant(self, ctx: context.Context, tenant_id: str, page: listing.Page) -> NamedPage:
        """A tenant's members, each with its user."""
        prefix = keys.under(keys.MEMBERS, tenant_id)
        found = listing.scan(self._store, prefix, tenants.Member, page, deadline=ctx.deadline)
        wanted = [keys.join(keys.USERS, item.value.user_id) for item in found.items]
        owners = records.get_many(self._store, wanted, users.User, deadline=ctx.deadline)
        named = [Named(member, user=user) for member, user in zip(found.items, owners, strict=True)]
        return NamedPage(tuple(named), found.marker)

    def of_user(
        self, ctx: context.Context, user_id: str, page: listing.Page, *, only: str | None = None
    ) -> NamedPage:
        """A user's memberships, each with its tenant; ``only``: that in this tenant."""
        prefix = keys.under(keys.MEMBERSHIPS, user_id)
        within = None if only is None else [keys.join(keys.MEMBERSHIPS, user_id, only)]
        found = listing.scan(self._store, prefix, tenants.Member, page, within=within, deadline=ctx.deadline)
        wanted = [keys.join(keys.TENANTS, item.value.tenant_id) for item in found.items]
        owners = records.get_many(self._store, wanted, tenants.Tenant, deadline=ctx.deadline)
        named = [Named(member, tenant=tenant) for member, tenant in zip(found.items, owners, strict=True)]
        return NamedPage(tuple(named), found.marker)

    def own(
        self, ctx: context.Context, who: identity.Identity, page: listing.Page
    ) -> listing.Listed[tuple[tenants.Tenant, identity.Role]]:
        """The tenants where ``who`` has a role, and which, by its credential or as a member; as far as that goes."""
        scope = who.scope_tenant_id
        found = self.of_user(ctx, who.user_id, page, only=scope)
        roles = {item.member.value.tenant_id: item.member.value.role for item in found.items}
        for tenant_id, role in who.roles.items():
            # What the marker leaves to another page, and what an earlier one had, is not of this one.
            ahead = page.marker is None or tenant_id > page.marker
            if ahead and (found.marker is None or tenant_id <= found.marker) and scope in (None, tenant_id):
                roles[tenant_id] = role
        shown = sorted(roles)[: page.limit]
        marker = shown[-1] if len(shown) < len(roles) else found.marker
        wanted = [keys.join(keys.TENANTS, tenant_id) for tenant_id in shown]
        records_of = records.get_many(self._store, wanted, tenants.Tenant, deadline=ctx.deadline)
        items = [
            codec.Versioned((tenant.value, roles[tenant_id].capped(who.scope_role)), tenant.revision)
            for tenant_id, tenant in zip(shown, records_of, strict=True)
            if tenant is not None
        ]
        return listing.Listed(items, marker)

    # Writing

    def put(
        self, ctx: context.Context, tenant_id: str, user_ref: str, role: identity.Role
    ) -> transaction.Committed[Named]:
        """Make the user a member with this role, or give the member this role.

        :raises WrongState: a new member of a tenant or user that is not enabled.
        """
        user_id = user_rules.NAMED.get(self._store, user_ref, deadline=ctx.deadline).value.id

        def work(txn: transaction.Transaction) -> Named:
            before = _read(txn, tenant_id, user_id)
            if before is not None:
                txn.match(before)
                user = user_rules.NAMED.read(txn, user_id)
                return _change(txn, before, user, role)
            if ctx.if_match is not None:
                raise errors.PreconditionFailed("There is no such member yet.")
            tenant = tenant_rules.NAMED.read(txn, tenant_id)
            tenant_rules.require_enabled(tenant.value)
            user = user_rules.NAMED.read(txn, user_id)
            user_rules.require_enabled(user.value)
            member = tenants.Member(
                tenant_id=tenant_id, user_id=user_id, role=role, created_at=txn.now, updated_at=txn.now
            )
            _write(txn, "member.create", None, member, user.value)
            return Named(codec.Versioned(member, 0), user=user, new=True)

        return self._transactor.transact(ctx, work)

    def update(
        self, ctx: context.Context, tenant_id: str, user_ref: str, role: identity.Role
    ) -> transaction.Committed[Named]:
        """Give a member this role."""
        user_id = self.get(ctx, tenant_id, user_ref).member.value.user_id

        def work(txn: transaction.Transaction) -> Named:
            before = _read(txn, tenant_id, user_id)
            if before is None:
                raise errors.NotFound.of("member", user_ref)
            txn.match(before)
            return _change(txn, before, user_rules.NAMED.read(txn, user_id), role)

        return self._transactor.transact(ctx, work)

    def delete(self, ctx: context.Context, tenant_id: str, user_ref: str) -> None:
        """End a membership. The user's tokens for the tenant are good for nothing from then on."""
        user = self.get(ctx, tenant_id, user_ref).user
        assert user is not None

        def work(txn: transaction.Transaction) -> None:
            before = _read(txn, tenant_id, user.value.id)
            if before is None:
                raise errors.NotFound.of("member", user_ref)
            txn.match(before)
            removal.drop_member(txn, before, user.value.name)

        self._transactor.transact(ctx, work)


def _read(
    txn: transaction.Transaction, tenant_id: str, user_id: str
) -> codec.Versioned[tenants.Member] | None:
    return txn.read(keys.join(keys.MEMBERS, tenant_id, user_id), tenants.Member)


def _change(
    txn: transaction.Transaction,
    before: codec.Versioned[tenants.Member],
    user: codec.Versioned[users.User],
    role: identity.Role,
) -> Named:
    after = msgspec.structs.replace(before.value, role=role, updated_at=txn.now)
    _write(txn, "member.update", before, after, user.value)
    return Named(codec.Versioned(after, 0), user=user)


def _write(
    txn: transaction.Transaction,
    action: str,
    before: codec.Versioned[tenants.Member] | None,
    member: tenants.Member,
    user: users.User,
) -> None:
    """Both keys of a member in one transaction, with the event."""
    txn.put(keys.join(keys.MEMBERS, member.tenant_id, member.user_id), member)
    txn.put(keys.join(keys.MEMBERSHIPS, member.user_id, member.tenant_id), member)
    txn.event(
        action,
        events.Target(kind="member", id=member.user_id, name=user.name),
        tenant_id=member.tenant_id,
        before=before.revision if before else None,
        role=member.role.value,
        **({"from_role": before.value.role.value} if before else {}),
    )
