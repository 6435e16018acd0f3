"""Users: made, changed, disabled, deleted with all that is theirs."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apisvc import errors
from apisvc.model import codec, events, keys, users
from apisvc.service import context, listing, records, removal, transaction
from apisvc.storage import base as storage

NAMED = records.Named("user", users.User, keys.USERS, keys.USER_NAMES)


def target(user: users.User) -> events.Target:
    return events.Target(kind="user", id=user.id, name=user.name)


def require_enabled(user: users.User) -> None:
    """WrongState when nothing new may be given to the user."""
    if not user.enabled:
        raise errors.WrongState(f"User {user.name!r} is disabled.")


class Users:
    def __init__(self, transactor: transaction.Transactor) -> None:
        self._transactor = transactor
        self._store = transactor.store

    def get(self, ctx: context.Context, ref: str) -> codec.Versioned[users.User]:
        """The user with this id or name."""
        return NAMED.get(self._store, ref, deadline=ctx.deadline)

    def list(
        self,
        ctx: context.Context,
        page: listing.Page,
        *,
        name: str | None = None,
        enabled: bool | None = None,
        admin: bool | None = None,
    ) -> listing.Listed[users.User]:
        """All users that match, oldest first."""

        def keep(user: users.User) -> bool:
            return (enabled is None or user.enabled == enabled) and (admin is None or user.admin == admin)

        return NAMED.list(self._store, page, name=name, keep=keep, deadline=ctx.deadline)

    def create(
        self,
        ctx: context.Context,
        *,
        name: str,
        description: str = "",
        email: str = "",
        enabled: bool = True,
        admin: bool = False,
    ) -> transaction.Committed[users.User]:
        def work(txn: transaction.Transaction) -> users.User:
            user = users.User(
                id=txn.ids.new(),
                name=name,
                description=description,
                email=email,
                enabled=enabled,
                admin=admin,
                created_at=txn.now,
                updated_at=txn.now,
            )
            NAMED.take_name(txn, name, user.id)
            txn.put(keys.join(keys.USERS, user.id), user)
            _index_admin(txn, None, user)
            txn.event("user.create", target(user), spec=msgspec.to_builtins(user))
            return user

        return self._transactor.transact(ctx, work)

    def update(
        self, ctx: context.Context, ref: str, fields: Mapping[str, Any]
    ) -> transaction.Committed[users.User]:
        """Set some of name, description, email, enabled and admin.

        :raises Conflict: the last enabled admin would be disabled or lose the role.
        """
        user_id = self.get(ctx, ref).value.id
        return self._transactor.transact(ctx, lambda txn: _update(txn, user_id, fields))

    def delete(self, ctx: context.Context, ref: str) -> None:
        """Delete a user with all memberships and tokens.

        The user is disabled first, so that nothing is effective, and nothing
        new arrives, while the rest goes in as many transactions as it takes.
        Cut short, it is completed by the next DELETE.
        """
        user_id = self.get(ctx, ref).value.id
        self._transactor.transact(ctx, lambda txn: _disable(txn, user_id))
        while not self._transactor.transact(ctx, lambda txn: _delete_some(txn, user_id)).result:
            pass


def _update(txn: transaction.Transaction, user_id: str, fields: Mapping[str, Any]) -> users.User:
    before = NAMED.read(txn, user_id)
    txn.match(before)
    after = msgspec.structs.replace(before.value, **fields, updated_at=txn.now)
    if after.name != before.value.name:
        NAMED.take_name(txn, after.name, user_id)
        NAMED.drop_name(txn, before.value.name)
    _index_admin(txn, before.value, after)
    txn.put(keys.join(keys.USERS, user_id), after)
    changes = records.changes(before.value, after)
    txn.event("user.update", target(after), before=before.revision, changes=changes)
    return after


def _disable(txn: transaction.Transaction, user_id: str) -> None:
    found = NAMED.read(txn, user_id)
    txn.match(found)
    if found.value.enabled:
        _update(txn, user_id, {"enabled": False})


def _delete_some(txn: transaction.Transaction, user_id: str) -> bool:
    """Delete some of a disabled user's things; True: all, and the user."""
    found = txn.read(keys.join(keys.USERS, user_id), users.User)
    if found is None:
        return True
    user = found.value
    # A disabled user gets nothing new, and its record is guarded: the scans miss nothing.
    if user.enabled:
        raise errors.Conflict(f"User {user.name!r} was enabled again while being deleted.")
    if not removal.of_user(txn, user_id):
        return False
    txn.delete(keys.join(keys.USERS, user_id))
    NAMED.drop_name(txn, user.name)
    txn.event("user.delete", target(user), before=found.revision)
    return True


def _index_admin(txn: transaction.Transaction, before: users.User | None, after: users.User) -> None:
    """Keep ``admins/`` true, and never empty once there was one."""
    was = before is not None and before.enabled and before.admin
    now = after.enabled and after.admin
    key = keys.join(keys.ADMINS, after.id)
    if now and not was:
        txn.put(key, after.id)
    elif was and not now:
        others = [record.key for record in txn.scan(keys.ADMINS, limit=2).records if record.key != key]
        if not others:
            raise errors.Conflict(f"User {after.name!r} is the last enabled admin; make another one first.")
        # Two admins who take away each other's role at once: one of them fails here.
        txn.guard(storage.Present(others[0]))
        txn.delete(key)
