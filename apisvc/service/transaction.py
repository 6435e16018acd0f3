"""One guarded store transaction: read, decide, write, with the audit event in it.

``transact(...)`` runs a function that reads through the :class:`Transaction`
and writes into it. Whatever it read with :meth:`Transaction.read` is guarded:
if anything of it changed meanwhile, nothing is written and the function runs
again, until the deadline.
"""

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from apisvc import errors
from apisvc.model import codec, events, keys, replays
from apisvc.service import context, secrets, turns
from apisvc.storage import base as storage

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Committed(Generic[T]):
    """What the function returned, and the revision its writes got."""

    result: T
    revision: int


class Replayed(Exception):
    """Another request with the same Idempotency-Key got there first; its record answers this one."""

    def __init__(self, record: codec.Versioned[replays.Replay]) -> None:
        super().__init__("replayed")
        self.record = record


class Transactor:
    """Opens transactions on a store."""

    def __init__(
        self, store: storage.Store, secret_box: secrets.SecretBox, clock: context.Clock, ids: context.Ids
    ) -> None:
        self.store = store
        self.secrets = secret_box
        self.clock = clock
        self.ids = ids
        self._turns = turns.Turns()

    def transact(
        self, ctx: context.Context, work: Callable[["Transaction"], T], *, turn: str | None = None
    ) -> Committed[T]:
        """Run ``work`` in a transaction until it commits.

        ``turn``: the key that all transactions like it change (a tenant's
        ledger); those of one process then go one after the other, instead of
        getting in each other's way.

        :raises Contention: others kept changing what it reads until the deadline.
        :raises Replayed: see there.
        """
        with self._turns.of(turn, ctx.deadline) if turn is not None else contextlib.nullcontext():
            return self._until_committed(ctx, work)

    def rehearse(self, ctx: context.Context, work: Callable[["Transaction"], T]) -> T:
        """What ``work`` returns or raises, with nothing written: the transaction is thrown away."""
        return work(Transaction(self, ctx))

    def _until_committed(self, ctx: context.Context, work: Callable[["Transaction"], T]) -> Committed[T]:
        pause = 0.001
        while True:
            txn = Transaction(self, ctx)
            try:
                return Committed(result := work(txn), txn.commit(result))
            except errors.ApisvcError:
                # The twin of a replayable request may be what stands in the way (its name, its quota).
                txn.raise_if_replayed()
                raise
            except storage.Conflict:
                if time.monotonic() + pause >= ctx.deadline:
                    raise errors.Contention() from None
            # Others won; let them finish before trying again.
            time.sleep(random.uniform(0, pause))
            pause = min(pause * 2, 0.05)


class Transaction:
    """Collects guards and writes. Reads see the store, never the own writes."""

    def __init__(self, transactor: Transactor, ctx: context.Context) -> None:
        self.ctx = ctx
        self.now = transactor.clock.now()
        self.ids = transactor.ids
        self._secrets = transactor.secrets
        self._store = transactor.store
        self._guards: dict[str, storage.Guard] = {}
        self._writes: dict[str, storage.Write] = {}

    # Reading

    def read(self, key: str, kind: type[T]) -> codec.Versioned[T] | None:
        """The record, guarded: the commit fails if it changes (or appears) meanwhile."""
        return self.read_many([(key, kind)])[0]

    def read_many(self, wanted: Sequence[tuple[str, type[Any]]]) -> list[codec.Versioned[Any] | None]:
        """Several records at one revision, all guarded."""
        snapshot = self._store.get([key for key, _ in wanted], deadline=self.ctx.deadline)
        found: list[codec.Versioned[Any] | None] = []
        for key, kind in wanted:
            record = snapshot.records.get(key)
            self._guards[key] = storage.AtRevision(key, record.revision) if record else storage.Absent(key)
            found.append(
                codec.Versioned(codec.decode(record.value, kind), record.revision) if record else None
            )
        return found

    def scan(self, prefix: str, *, limit: int = 1000) -> storage.Page:
        """Records under a prefix as they are now, not guarded."""
        return self._store.scan(prefix, limit=limit, deadline=self.ctx.deadline)

    def match(self, found: codec.Versioned[Any]) -> None:
        """PreconditionFailed unless the caller's If-Match, if there is one, names the revision of ``found``."""
        if self.ctx.if_match is not None and self.ctx.if_match != found.revision:
            raise errors.PreconditionFailed()

    def raise_if_replayed(self) -> None:
        """Replayed when the caller's Idempotency-Key has its record already; guards that it has not."""
        if self.ctx.replayable is not None:
            earlier = self.read(self.ctx.replayable.key, replays.Replay)
            if earlier is not None:
                raise Replayed(earlier)

    # Writing

    def guard(self, guard: storage.Guard) -> None:
        """A guard of the caller's own, in place of one from a read of the same key."""
        self._guards[guard.key] = guard

    def put(self, key: str, record: Any, *, lease: str | None = None) -> None:
        self._writes[key] = storage.Put(key, codec.encode(record), lease)

    def delete(self, key: str) -> None:
        self._writes[key] = storage.Delete(key)

    def event(
        self,
        action: str,
        target: events.Target,
        *,
        tenant_id: str | None = None,
        before: int | None = None,
        **detail: Any,
    ) -> None:
        """Record what this transaction does. Every writing transaction has at least one."""
        event = events.Event(
            id=self.ids.new(),
            at=self.now,
            action=action,
            actor=self.ctx.actor,
            target=target,
            tenant_id=tenant_id,
            request_id=self.ctx.request_id,
            before=before,
            detail=detail,
        )
        self.put(keys.join(keys.EVENTS, tenant_id or keys.NO_TENANT, event.id), event)

    def commit(self, result: Any) -> int:
        """Write everything in one commit; ``result`` is what a replay will answer with."""
        self.raise_if_replayed()
        replayable = self.ctx.replayable
        if replayable is not None:
            status, location, body = replayable.render(result)
            self.put(
                replayable.key,
                replays.Replay(
                    fingerprint=replayable.fingerprint,
                    status=status,
                    location=location,
                    answer=self._secrets.encrypt(body),
                    created_at=self.now,
                ),
            )
        return self._store.commit(
            list(self._guards.values()), list(self._writes.values()), deadline=self.ctx.deadline
        )
