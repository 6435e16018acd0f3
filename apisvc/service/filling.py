"""Puts records into an empty store."""

from apisvc import errors
from apisvc.model import keys
from apisvc.storage import base as storage


class Filling:
    """Takes records with :meth:`add`, then :meth:`flush`, and at last :meth:`finish`.

    The layout version comes last of all: without it nothing starts on the
    store, so one that was filled in part cannot be taken for a whole one.

    :raises Conflict: the store is not empty.
    """

    def __init__(self, store: storage.Store, name: str = "The store") -> None:
        if store.scan("", limit=1).records:
            raise errors.Conflict(f"{name} is not empty; this wants a new one.")
        self._store = store
        self._batch: list[storage.Put] = []
        self._size = 0
        self._layout: bytes | None = None

    def add(self, key: str, value: bytes) -> None:
        """:raises Conflict: something else writes to the store."""
        if key == keys.SCHEMA:
            self._layout = value
            return
        size = len(key) + len(value)
        # A store may refuse a transaction much larger than the largest value.
        if len(self._batch) == storage.MAX_OPS or self._size + size > storage.MAX_VALUE:
            self.flush()
        self._batch.append(storage.Put(key, value))
        self._size += size

    def flush(self) -> None:
        """Write what has been added."""
        self._commit(self._batch)
        self._batch, self._size = [], 0

    def finish(self) -> None:
        """Say that the store is whole."""
        if self._layout is not None:
            self._commit([storage.Put(keys.SCHEMA, self._layout)])

    def _commit(self, puts: list[storage.Put]) -> None:
        if not puts:
            return
        try:
            self._store.commit([storage.Absent(put.key) for put in puts], puts)
        except storage.Conflict:
            raise errors.Conflict("Something else writes to the store; stop it, and begin again.") from None
