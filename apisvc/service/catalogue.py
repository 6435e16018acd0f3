"""What flavors and images have in common: named records that instances copy from.

Because instances copy what they need when they are made, an entry may change
or go at any time.
"""

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from apisvc.model import catalogue, codec, events, keys
from apisvc.schemas import base
from apisvc.service import context, listing, records, transaction

Entry = TypeVar("Entry", catalogue.Flavor, catalogue.Image)


class Catalogue(Generic[Entry]):
    """Entries of one kind, found by id or name."""

    #: ``Named[Entry]``, which a class variable cannot say.
    entries: ClassVar[records.Named[Any]]

    def __init__(self, transactor: transaction.Transactor) -> None:
        self._transactor = transactor

    def create(self, ctx: context.Context, body: base.Body) -> transaction.Committed[Entry]:
        """:raises AlreadyExists: the name is taken."""
        fields = msgspec.structs.asdict(body)

        def work(txn: transaction.Transaction) -> Entry:
            entry: Entry = self.entries.kind(
                id=txn.ids.new(), **fields, created_at=txn.now, updated_at=txn.now
            )
            self.entries.take_name(txn, entry.name, entry.id)
            txn.put(keys.join(self.entries.records, entry.id), entry)
            txn.event(f"{self.entries.word}.create", self._target(entry), **fields)
            return entry

        return self._transactor.transact(ctx, work)

    def get(self, ctx: context.Context, ref: str) -> codec.Versioned[Entry]:
        """The entry with this id or name, or NotFound."""
        return self.entries.get(self._transactor.store, ref, deadline=ctx.deadline)

    def list(
        self, ctx: context.Context, page: listing.Page, *, name: str | None = None
    ) -> listing.Listed[Entry]:
        """All entries, oldest first; or the one of a name."""
        return self.entries.list(self._transactor.store, page, name=name, deadline=ctx.deadline)

    def update(self, ctx: context.Context, ref: str, body: base.Body) -> transaction.Committed[Entry]:
        """:raises NotFound, AlreadyExists, PreconditionFailed:"""

        def work(txn: transaction.Transaction) -> Entry:
            before = self._read(txn, ref)
            entry = msgspec.structs.replace(before.value, **body.asked(), updated_at=txn.now)
            if entry.name != before.value.name:
                self.entries.take_name(txn, entry.name, entry.id)
                self.entries.drop_name(txn, before.value.name)
            txn.put(keys.join(self.entries.records, entry.id), entry)
            txn.event(
                f"{self.entries.word}.update",
                self._target(entry),
                before=before.revision,
                changes=records.changes(before.value, entry),
            )
            return entry

        return self._transactor.transact(ctx, work)

    def delete(self, ctx: context.Context, ref: str) -> None:
        """:raises NotFound, PreconditionFailed:"""

        def work(txn: transaction.Transaction) -> None:
            before = self._read(txn, ref)
            txn.delete(keys.join(self.entries.records, before.value.id))
            self.entries.drop_name(txn, before.value.name)
            txn.event(f"{self.entries.word}.delete", self._target(before.value), before=before.revision)

        self._transactor.transact(ctx, work)

    def _read(self, txn: transaction.Transaction, ref: str) -> codec.Versioned[Entry]:
        entry = self.get(txn.ctx, ref).value
        found: codec.Versioned[Entry] = self.entries.read(txn, entry.id)
        txn.match(found)
        return found

    def _target(self, entry: Entry) -> events.Target:
        return events.Target(kind=self.entries.word, id=entry.id, name=entry.name)
