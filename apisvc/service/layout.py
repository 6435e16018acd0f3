"""The version of the layout in which records lie in the store."""

from apisvc import errors
from apisvc.model import codec, keys
from apisvc.storage import base as storage


def ensure(store: storage.Store, *, deadline: float | None = None) -> None:
    """Return when this release can work with the data; a new store is marked as of its layout.

    :raises StartError: see :func:`look`.
    :raises StoreUnavailable: the store cannot be asked.
    """
    if look(store, deadline=deadline) is None:
        _require_known(_mark(store, deadline))


def look(store: storage.Store, *, deadline: float | None = None) -> int | None:
    """The version of the data, which this release can work with; None: the store is new.

    :raises StartError: the data is of a newer release, or of a restore that did not finish.
    :raises StoreUnavailable: the store cannot be asked.
    """
    found = version(store, deadline=deadline)
    if found is None and store.scan("", limit=1, deadline=deadline).records:
        # An other process may have marked it, and written, between the two reads.
        found = version(store, deadline=deadline)
        if found is None:
            raise errors.StartError(
                "the store holds records but no layout version: a restore into it did not finish; "
                "restore the dump into an empty store"
            )
    if found is not None:
        _require_known(found)
    return found


def _require_known(found: int) -> None:
    if found > keys.SCHEMA_VERSION:
        raise errors.StartError(
            f"the store holds data of layout {found}, made by a newer release; this one knows layouts up to "
            f"{keys.SCHEMA_VERSION}: run the newer release, or restore a dump made before the upgrade"
        )


def version(store: storage.Store, *, deadline: float | None = None) -> int | None:
    """The layout version that the store bears; None: none yet."""
    record = store.get([keys.SCHEMA], deadline=deadline).records.get(keys.SCHEMA)
    return codec.decode(record.value, int) if record else None


def _mark(store: storage.Store, deadline: float | None) -> int:
    try:
        store.commit(
            [storage.Absent(keys.SCHEMA)],
            [storage.Put(keys.SCHEMA, codec.encode(keys.SCHEMA_VERSION))],
            deadline=deadline,
        )
    except storage.Conflict:
        return version(store, deadline=deadline) or keys.SCHEMA_VERSION
    return keys.SCHEMA_VERSION
