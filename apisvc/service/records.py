"""Records that have an id and a unique name: found by either, and kept so."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from apisvc import errors
from apisvc.model import codec, keys
from apisvc.schemas import base as schemas
from apisvc.service import listing, transaction
from apisvc.storage import base as storage

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")

_ID = re.compile(schemas.ID_PATTERN)
_NAME = re.compile(schemas.NAME_PATTERN)


@dataclasses.dataclass(frozen=True, slots=True)
class Named(Generic[T]):
    """A kind of record with names. ``word`` is what people call it; the others are key prefixes."""

    word: str
    kind: type[T]
    records: str
    names: str

    def resolve(self, store: storage.Store, ref: str, *, deadline: float) -> str | None:
        """The id that ``ref``, an id or a name, stands for; None: not a name in use. An id is not looked up."""
        if is_id(ref):
            return ref.lower()
        name = self.name_key(ref)
        if name is None:
            return None
        entry = store.get([name], deadline=deadline).records.get(name)
        return codec.decode(entry.value, str) if entry else None

    def name_key(self, ref: str) -> str | None:
        """Where the id of what has the name ``ref`` is kept; None: it is no name."""
        return None if is_id(ref) or not _NAME.match(ref) else keys.join(self.names, ref)

    def find(self, store: storage.Store, ref: str, *, deadline: float) -> codec.Versioned[T] | None:
        """The record with the id or the name ``ref``: one read by id, two by name."""
        record_id = self.resolve(store, ref, deadline=deadline)
        if record_id is None:
            return None
        return get_many(store, [keys.join(self.records, record_id)], self.kind, deadline=deadline)[0]

    def get(self, store: storage.Store, ref: str, *, deadline: float) -> codec.Versioned[T]:
        """As :meth:`find`, but NotFound when there is none."""
        found = self.find(store, ref, deadline=deadline)
        if found is None:
            raise errors.NotFound.of(self.word, ref)
        return found

    def list(
        self,
        store: storage.Store,
        page: listing.Page,
        *,
        name: str | None = None,
        keep: Callable[[T], bool] = lambda record: True,
        deadline: float,
    ) -> listing.Listed[T]:
        """Those for which ``keep`` holds, oldest first; with ``name`` at most the one of that name."""
        if name is None:
            return listing.scan(store, self.records, self.kind, page, keep=keep, deadline=deadline)
        found = None if is_id(name) else self.find(store, name, deadline=deadline)
        return listing.Listed([found] if found and keep(found.value) else [], None)

    def read(self, txn: transaction.Transaction, record_id: str) -> codec.Versioned[T]:
        """The record, guarded; NotFound when it is gone meanwhile."""
        found = txn.read(keys.join(self.records, record_id), self.kind)
        if found is None:
            raise errors.NotFound.of(self.word, record_id)
        return found

    def take_name(self, txn: transaction.Transaction, name: str, record_id: str) -> None:
        """Make ``name`` lead to the record; AlreadyExists when it leads elsewhere, InvalidRequest if it is none."""
        if _NAME.match(name) is None:
            raise errors.InvalidRequest(
                f"{name!r} cannot be a name: {schemas.EXPLAINED[schemas.NAME_PATTERN]}."
            )
        key = keys.join(self.names, name)
        if txn.read(key, str) is not None:
            raise errors.AlreadyExists(f"The name {name!r} is taken by another {self.word}.")
        txn.put(key, record_id)

    def drop_name(self, txn: transaction.Transaction, name: str) -> None:
        """Free ``name`` for others."""
        txn.delete(keys.join(self.names, name))


def is_id(ref: str) -> bool:
    """Whether ``ref`` has the form of an id; no name has."""
    return _ID.match(ref) is not None


def get_many(
    store: storage.Store, wanted: Sequence[str], kind: type[R], *, deadline: float
) -> list[codec.Versioned[R] | None]:
    """The records of any number of keys, in their order; each store call shows one revision."""
    records = get_raw(store, wanted, deadline=deadline)
    return [
        codec.Versioned(codec.decode(record.value, kind), record.revision) if record else None
        for record in map(records.get, wanted)
    ]


def get_raw(store: storage.Store, wanted: Sequence[str], *, deadline: float) -> Mapping[str, storage.Record]:
    """The records there are of any number of keys, not decoded; each store call shows one revision."""
    if len(wanted) <= storage.MAX_OPS:
        return store.get(wanted, deadline=deadline).records if wanted else {}
    found: dict[str, storage.Record] = {}
    for first in range(0, len(wanted), storage.MAX_OPS):
        found.update(store.get(wanted[first : first + storage.MAX_OPS], deadline=deadline).records)
    return found


def changes(before: msgspec.Struct, after: msgspec.Struct) -> dict[str, dict[str, Any]]:
    """What an update did, for its event: ``{field: {"from": ..., "to": ...}}``, times left out."""
    # Field by field: a record may leave out those that have their default.
    was, now = (
        {field: msgspec.to_builtins(getattr(record, field)) for field in record.__struct_fields__}
        for record in (before, after)
    )
    return {
        field: {"from": was[field], "to": now[field]}
        for field in now
        if was[field] != now[field] and field != "updated_at"
    }
