"""Whether the records of a store agree with each other: what ``apisvc-manage store check`` says.

Every index is computed anew from the records it is made of, and every ledger
from the instances it counts; what differs is told. So is a record that speaks of
one that is not there: a member without its user, a claim on no instance.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from apisvc import errors
from apisvc.model import backends, catalogue, codec, events, instances, keys, replays, tenants, users
from apisvc.storage import base as storage

_KINDS: dict[str, Any] = {
    keys.TENANTS: tenants.Tenant,
    keys.LEDGERS: tenants.Ledger,
    keys.MEMBERS: tenants.Member,
    keys.USERS: users.User,
    keys.TOKENS: users.Token,
    keys.FLAVORS: catalogue.Flavor,
    keys.IMAGES: catalogue.Image,
    keys.INSTANCES: instances.Instance,
    keys.TOMBSTONES: instances.Tombstone,
    keys.CLAIMS: backends.Claim,
    keys.WORKERS: backends.Worker,
    keys.BACKENDS: backends.Backend,
    keys.BACKEND_HEALTH: backends.BackendHealth,
    keys.EVENTS: events.Event,
    keys.REPLAYS: replays.Replay,
}
_INDEXES: dict[str, Any] = {
    keys.MEMBERSHIPS: tenants.Member,
    **dict.fromkeys(
        (
            keys.TENANT_NAMES,
            keys.USER_NAMES,
            keys.ADMINS,
            keys.TOKEN_IDS,
            keys.TOKEN_TENANTS,
            keys.FLAVOR_NAMES,
            keys.IMAGE_NAMES,
            keys.INSTANCE_NAMES,
            keys.INSTANCE_TENANTS,
            keys.ADOPTIONS,
        ),
        str,
    ),
}


def check(store: storage.Store) -> tuple[int, list[str]]:
    """How many records there are, and a line for everything that is wrong; all of it at one revision."""
    found: list[str] = []
    computed: dict[str, Any] = {}
    indexed: dict[str, Any] = {}
    ledgers: dict[str, tenants.Ledger] = {}
    counted: dict[str, tenants.Ledger] = {}
    present: set[str] = set()
    needed: list[tuple[str, str]] = []
    for record in read(store):
        present.add(record.key)
        prefix = record.key[: record.key.find("/") + 1] or record.key
        kind = int if prefix == keys.SCHEMA else _KINDS.get(prefix) or _INDEXES.get(prefix)
        if kind is None:
            found.append(f"{record.key}: this release knows no such record")
            continue
        try:
            value = codec.decode(record.value, kind)
        except msgspec.MsgspecError as error:
            found.append(f"{record.key}: {error}")
            continue
        if prefix in _INDEXES:
            indexed[record.key] = value
        elif isinstance(value, tenants.Ledger):
            ledgers[record.key] = value
        else:
            computed.update(_implied(record.key, value))
            needed += [(record.key, key) for key in _needs(record.key, value)]
        if isinstance(value, tenants.Tenant):
            counted.setdefault(keys.join(keys.LEDGERS, value.id), tenants.Ledger(tenant_id=value.id))
        elif isinstance(value, instances.Instance):
            _count(counted, value)
    found += _differences(computed, indexed, "the records say", "it is")
    found += _differences(
        counted,
        ledgers,
        "the instances take",
        "the ledger says",
    )
    found += [f"{key}: there is no {other}" for key, other in needed if other not in present]
    dead = (key for key in present if key.startswith(keys.TOMBSTONES))
    found += [
        f"{key}: the instance is there"
        for key in sorted(dead)
        if keys.join(keys.INSTANCE_TENANTS, keys.last(key)) in present
    ]
    return len(present), found


def _count(ledgers: dict[str, tenants.Ledger], instance: instances.Instance) -> None:
    """Add an instance to its tenant's ledger."""
    key = keys.join(keys.LEDGERS, instance.tenant_id)
    before = ledgers.get(key) or tenants.Ledger(tenant_id=instance.tenant_id)
    backend = instance.spec.backend
    ledgers[key] = tenants.Ledger(
        tenant_id=instance.tenant_id,
        used=before.used.plus(instance.spec.amounts),
        on={**before.on, backend: before.on.get(backend, 0) + 1},
    )


def read(store: storage.Store, revision: int | None = None) -> Iterator[storage.Record]:
    """All records in key order, as they are at one revision: that one, or the current.

    :raises StoreUnavailable: the store cannot be read, or forgot that revision meanwhile.
    """
    try:
        for page in storage.pages(store, "", revision=revision, steady=True):
            yield from page.records
    except storage.Compacted:
        raise errors.StoreUnavailable(
            "The store forgot the revision that was being read; raise [worker] history_keep, or do this "
            "when less is written."
        ) from None


def _implied(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The index entries that a record stands for."""
    match value:
        case tenants.Tenant():
            yield keys.join(keys.TENANT_NAMES, value.name), value.id
        case tenants.Member():
            yield keys.join(keys.MEMBERSHIPS, value.user_id, value.tenant_id), value
        case users.User():
            yield keys.join(keys.USER_NAMES, value.name), value.id
            if value.admin and value.enabled:
                yield keys.join(keys.ADMINS, value.id), value.id
        case users.Token():
            digest = keys.last(key)
            yield keys.join(keys.TOKEN_IDS, value.user_id, value.id), digest
            if value.tenant_id is not None:
                yield keys.join(keys.TOKEN_TENANTS, value.tenant_id, value.id), digest
        case catalogue.Flavor():
            yield keys.join(keys.FLAVOR_NAMES, value.name), value.id
        case catalogue.Image():
            yield keys.join(keys.IMAGE_NAMES, value.name), value.id
        case instances.Instance():
            yield keys.join(keys.INSTANCE_NAMES, value.tenant_id, value.name), value.id
            yield keys.join(keys.INSTANCE_TENANTS, value.id), value.tenant_id
            if value.spec.adopt:
                yield keys.join(keys.ADOPTIONS, value.spec.backend, value.spec.adopt), value.id


def _needs(key: str, value: Any) -> Iterator[str]:
    """The keys of the records that this one speaks of."""
    match value:
        case tenants.Member():
            yield keys.join(keys.TENANTS, value.tenant_id)
            yield keys.join(keys.USERS, value.user_id)
        case users.Token():
            yield keys.join(keys.USERS, value.user_id)
            if value.tenant_id is not None:
                yield keys.join(keys.TENANTS, value.tenant_id)
        case instances.Instance():
            yield keys.join(keys.TENANTS, value.tenant_id)
        case backends.Claim():
            yield keys.join(keys.WORKERS, value.worker_id)
            if not keys.last(key).startswith("-"):  # the collector's own
                yield keys.join(keys.INSTANCE_TENANTS, keys.last(key))


def _differences(wanted: dict[str, Any], got: dict[str, Any], said: str, is_: str) -> Iterator[str]:
    for key in sorted(wanted.keys() | got.keys()):
        if wanted.get(key) != got.get(key):
            yield f"{key}: {said} {_shown(wanted.get(key))}, {is_} {_shown(got.get(key))}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else codec.encode(value).decode()
