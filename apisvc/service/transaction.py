"""One guarded store transaction: read, decide, write, with the audit event in it.

``transact(...)`` runs a function that reads through the :class:`Transaction`
and writes into it. Whatever it read with :meth:`Transaction.read` is guarded:
if anything of it changed meanwhile, nothing is written and the function runs
again, until the deadline.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from apisvc import errors, turns
from apisvc.model import codec, events, keys, replays
from apisvc.service import context, secrets
from apisvc.storage import base as storage

T = TypeVar("T")

#: Seconds until another attempt after a conflict: at most so many the first time, and ever.
PAUSE, LONGEST_PAUSE = 0.001, 0.05


class Committed(msgspec.Struct, Generic[T], frozen=True):
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

    def transact(self, ctx: context.Context, work: Callable[["Transaction"], T]) -> Committed[T]:
        """Run ``work`` in a transaction until it commits.

        :raises Contention: others kept changing what it reads until the deadline.
        :raises Replayed: see there.
        """
        pause = PAUSE
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
            with turns.waiting():
                time.sleep(random.uniform(0, pause))
            pause = min(pause * 2, LONGEST_PAUSE)

    def rehearse(self, ctx: context.Context, work: Callable[["Transaction"], T]) -> T:
        """What ``work`` returns or raises, with nothing written: the transaction is thrown away."""
        return work(Transaction(self, ctx))


class Transaction:
    """Collects guards and writes. Reads see the store, never the own writes."""

    def __init__(
        self,
        transactor: Transactor,
        ctx: context.Context,
        get: Callable[[Sequence[str]], Mapping[str, storage.Record]] | None = None,
    ) -> None:
        """``get``: where :meth:`read` finds records, if not in the store."""
        self.ctx = ctx
        self.now = transactor.clock.now()
        self.ids = transactor.ids
        self._secrets = transactor.secrets
        self._store = transactor.store
        self._get = get or self._get_now
        #: What must hold when it commits, and what it then writes, by key.
        self.guards: dict[str, storage.Guard] = {}
        self.writes: dict[str, storage.Write] = {}

    # Reading

    def read(self, key: str, kind: type[T]) -> codec.Versioned[T] | None:
        """The record, guarded: the commit fails if it changes (or appears) meanwhile."""
        return self.read_many([(key, kind)])[0]

    def read_many(self, wanted: Sequence[tuple[str, type[Any]]]) -> list[codec.Versioned[Any] | None]:
        """Several records, all guarded."""
        records = self._get([key for key, _ in wanted])
        found: list[codec.Versioned[Any] | None] = []
        for key, kind in wanted:
            record = records.get(key)
            self.guards[key] = storage.AtRevision(key, record.revision) if record else storage.Absent(key)
            found.append(
                codec.Versioned(codec.decode(record.value, kind), record.revision) if record else None
            )
        return found

    def _get_now(self, wanted: Sequence[str]) -> Mapping[str, storage.Record]:
        return self._store.get(wanted, deadline=self.ctx.deadline).records

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
        self.guards[guard.key] = guard

    def put(self, key: str, record: Any, *, lease: str | None = None) -> None:
        self.writes[key] = storage.Put(key, codec.encode(record), lease)

    def delete(self, key: str) -> None:
        self.writes[key] = storage.Delete(key)

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
        self.finish(result)
        return self._store.commit(
            list(self.guards.values()), list(self.writes.values()), deadline=self.ctx.deadline
        )

    def finish(self, result: Any) -> None:
        """Add what a replay will answer with, if one may come."""
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
