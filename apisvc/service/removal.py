"""What goes with a user or a tenant: memberships and tokens, some in each transaction."""

from collections.abc import Sequence

from apisvc.model import codec, events, keys, tenants, users
from apisvc.service import transaction
from apisvc.storage import base as storage

#: Members, and tokens, in one transaction: three writes each for the first, four for the second, and the
#: event of the whole, stay below the 128 of a commit with room for the owner's own records.
_AT_ONCE = 16


def of_tenant(txn: transaction.Transaction, tenant_id: str) -> bool:
    """Drop some of a tenant's members and of the tokens scoped to it; True: these are the last.

    The caller guards a record that keeps new ones away.
    """
    members = txn.scan(keys.under(keys.MEMBERS, tenant_id), limit=_AT_ONCE)
    tokens = txn.scan(keys.under(keys.TOKEN_TENANTS, tenant_id), limit=_AT_ONCE)
    _drop_members(txn, [(tenant_id, keys.last(record.key)) for record in members.records])
    _drop_tokens(txn, tokens.records)
    return not (members.more or tokens.more)


def of_user(txn: transaction.Transaction, user_id: str) -> bool:
    """The same for a user's memberships and tokens."""
    members = txn.scan(keys.under(keys.MEMBERSHIPS, user_id), limit=_AT_ONCE)
    tokens = txn.scan(keys.under(keys.TOKEN_IDS, user_id), limit=_AT_ONCE)
    _drop_members(txn, [(keys.last(record.key), user_id) for record in members.records])
    _drop_tokens(txn, tokens.records)
    return not (members.more or tokens.more)


def drop_member(txn: transaction.Transaction, found: codec.Versioned[tenants.Member], name: str = "") -> None:
    """Delete both keys of a member that ``txn`` has read, with the event."""
    member = found.value
    txn.delete(keys.join(keys.MEMBERS, member.tenant_id, member.user_id))
    txn.delete(keys.join(keys.MEMBERSHIPS, member.user_id, member.tenant_id))
    txn.event(
        "member.delete",
        events.Target(kind="member", id=member.user_id, name=name),
        tenant_id=member.tenant_id,
        before=found.revision,
        role=member.role.value,
    )


def drop_token(txn: transaction.Transaction, digest: str, found: codec.Versioned[users.Token]) -> None:
    """Delete the keys of a token that ``txn`` has read, with the event."""
    token = found.value
    txn.delete(keys.join(keys.TOKENS, digest))
    txn.delete(keys.join(keys.TOKEN_IDS, token.user_id, token.id))
    if token.tenant_id is not None:
        txn.delete(keys.join(keys.TOKEN_TENANTS, token.tenant_id, token.id))
    txn.event(
        "token.delete",
        events.Target(kind="token", id=token.id, name=token.name),
        tenant_id=token.tenant_id,
        before=found.revision,
        user_id=token.user_id,
    )


def _drop_members(txn: transaction.Transaction, ids: Sequence[tuple[str, str]]) -> None:
    wanted = [(keys.join(keys.MEMBERS, *pair), tenants.Member) for pair in ids]
    for found in txn.read_many(wanted):
        if found is not None:
            drop_member(txn, found)


def _drop_tokens(txn: transaction.Transaction, entries: Sequence[storage.Record]) -> None:
    """``entries`` are of an index of tokens; an entry goes even if there is no token behind it."""
    digests = [codec.decode(entry.value, str) for entry in entries]
    found = txn.read_many([(keys.join(keys.TOKENS, digest), users.Token) for digest in digests])
    for entry, digest, token in zip(entries, digests, found, strict=True):
        txn.delete(entry.key)
        if token is not None:
            drop_token(txn, digest, token)
