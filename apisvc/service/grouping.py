"""Several transactions in one commit.

All creates of a tenant change its ledger, so they cannot commit side by side;
and a commit costs one call and one wait for the disk, whatever is in it. So
who comes while nobody is at work commits at once, alone; who comes meanwhile
waits, and then one of those who wait does the work of all of them: one after
the other, each on what the ones before it have written, and all in one commit.

To each it is as if it had been alone. What its own rules refuse is its own
error, and the others go on. After a conflict those whose reads no longer hold
are worked anew, on what is there then. Nobody is told anything that rests on
what others have written before that is committed. A commit begins when all that
came together with its leader wait for it too (:mod:`apisvc.turns`); under
another server, in a crowd, when nobody else has come for a moment. Who is alone
waits for nobody.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from apisvc import errors, turns
from apisvc.service import context, transaction
from apisvc.storage import base as storage

T = TypeVar("T")

#: The revision of a record that is not committed yet; none that is has it.
PENDING = 0
#: As many must have been in a group for the next one to wait for others.
CROWD = 4
#: Seconds without another after which it begins, and at most.
LULL, GATHERING = 0.003, 0.015


class Draft:
    """What becomes one commit, of several transactions."""

    def __init__(self, store: storage.Store, deadline: float) -> None:
        self._store = store
        self._deadline = deadline
        #: As the transactions find them: in the store, or as the ones before left them.
        self._found: dict[str, storage.Record | None] = {}
        self._guards: dict[str, storage.Guard] = {}
        self._writes: dict[str, storage.Write] = {}
        self._size = 0

    def get(self, wanted: Sequence[str]) -> Mapping[str, storage.Record]:
        """Each key is read from the store once, whoever asks."""
        missing = [key for key in wanted if key not in self._found]
        for first in range(0, len(missing), storage.MAX_OPS):
            part = missing[first : first + storage.MAX_OPS]
            records = self._store.get(part, deadline=self._deadline).records
            self._found.update((key, records.get(key)) for key in part)
        return {key: record for key in wanted if (record := self._found[key])}

    def holds(self, txn: transaction.Transaction) -> bool:
        """Whether all that ``txn``, worked on another draft, has read from the store is the same here."""
        self.get(list(txn.guards))
        return all(
            guard == self._as_found(guard) and guard != storage.AtRevision(guard.key, PENDING)
            for guard in txn.guards.values()
        )

    def take(self, txn: transaction.Transaction) -> bool:
        """Add what ``txn`` wants; False, and nothing added: it needs a commit of its own."""
        guards = {key: guard for key, guard in txn.guards.items() if key not in self._writes}
        size = sum(map(_size, txn.writes.values()))
        if (self._guards or self._writes) and (
            len(self._guards.keys() | guards.keys()) > storage.MAX_OPS
            or len(self._writes.keys() | txn.writes.keys()) > storage.MAX_OPS
            or self._size + size > storage.MAX_COMMIT
            # It asks for something else than what is found here, by a guard of its own.
            or any(guard != self._as_found(guard) for guard in txn.guards.values())
        ):
            return False
        self._guards.update(guards)
        self._writes.update(txn.writes)
        self._size += size
        for key, write in txn.writes.items():
            self._found[key] = None
            if isinstance(write, storage.Put):
                self._found[key] = storage.Record(key, write.value, PENDING, PENDING, write.lease)
        return True

    def _as_found(self, guard: storage.Guard) -> storage.Guard:
        """The guard that a read of the key gives."""
        if guard.key not in self._found:
            return self._guards.get(guard.key, guard)
        record = self._found[guard.key]
        return storage.AtRevision(guard.key, record.revision) if record else storage.Absent(guard.key)

    def commit(self) -> int:
        return self._store.commit(
            list(self._guards.values()), list(self._writes.values()), deadline=self._deadline
        )


class Grouping:
    """Commits transactions, those that wait for each other together. Thread-safe."""

    def __init__(self, transactor: transaction.Transactor) -> None:
        self._transactor = transactor
        self._store = transactor.store
        self._mutex = threading.Lock()
        #: Who waits for the next commit; those who came first are first.
        self._waiting: list[_Member] = []
        #: Whether somebody is at work.
        self._led = False
        #: How many were in the last group.
        self._shared = 0

    def transact(
        self, ctx: context.Context, work: Callable[[transaction.Transaction], T]
    ) -> transaction.Committed[T]:
        """As :meth:`.Transactor.transact`; ``work`` may be run by another thread, which is at it for this one.

        It does little else than to read guarded, and to write: others wait for it.

        :raises Contention: others kept changing what it reads until the deadline.
        :raises Replayed: see there.
        """
        with self._store.reading() as moment:
            member = _Member(ctx, work, moment)
            try:
                self._settle(member)
                committed = member.committed()
            except errors.ApisvcError:
                moment.saw(None)
                # The twin of a replayable request may be what stands in the way (its name, its quota); and what
                # was lost sight of in a commit may be found.
                transaction.Transaction(self._transactor, ctx).raise_if_replayed()
                raise
            moment.saw(committed.revision)
            return committed

    def _settle(self, member: "_Member") -> None:
        """Until it is known what became of it, or its time is over."""
        with self._mutex:
            member.leads = not self._led
            self._led = True
            if not member.leads:
                self._waiting.append(member)
        try:
            if not member.leads and not member.called.wait(member.left()):
                self._give_up(member)
        except BaseException:
            self._give_up(member)
            if member.leads:
                self._hand_on()
            raise
        if member.leads:
            self._lead(member)

    def _give_up(self, member: "_Member") -> None:
        """It waits no longer, unless it has just been called."""
        with self._mutex:
            if member.leads or member.outcome is not None:
                return
            if member in self._waiting:
                self._waiting.remove(member)
                member.outcome = errors.Contention()
            else:
                member.outcome = _in_doubt()

    def _lead(self, leader: "_Member") -> None:
        """Commit groups until the leader knows its outcome; then another leads."""
        pause, afresh = transaction.PAUSE, False
        try:
            while leader.outcome is None:
                # Those of a crowd who are just coming need no commit of their own then.
                turns.gather(lambda: len(self._waiting), self._shared >= CROWD, LULL, GATHERING)
                group = self._gather(leader)
                try:
                    self._commit(group, leader.ctx.deadline, afresh)
                except storage.Conflict:
                    if leader.left() <= pause:
                        leader.outcome = errors.Contention()
                finally:
                    self._put_back(group, leader)
                if leader.outcome is None:
                    # Others won; let them finish before trying again.
                    with turns.waiting():
                        time.sleep(random.uniform(0, pause))
                    pause, afresh = min(pause * 2, transaction.LONGEST_PAUSE), True
        finally:
            self._hand_on()

    def _gather(self, leader: "_Member") -> list["_Member"]:
        """The leader and those who wait; of those with the same Idempotency-Key one, whose answer the others repeat."""
        with self._mutex:
            group: list[_Member] = []
            twins: list[_Member] = []
            keys: set[str] = set()
            for member in [leader, *self._waiting]:
                (twins if member.key in keys else group).append(member)
                if member.key is not None:
                    keys.add(member.key)
            self._waiting = twins
            self._shared = len(group)
            return group

    def _commit(self, group: Sequence["_Member"], deadline: float, afresh: bool) -> None:
        """Work and commit, and tell those who had a place in it. What cannot be told of, was not written.

        ``afresh``: what they know of the store has been overtaken.

        :raises Conflict: nothing was written, and nobody told.
        """
        worked: list[tuple[_Member, Any]] = []
        try:
            with self._store.reading(of=[] if afresh else [member.moment for member in group]):
                draft = Draft(self._store, deadline)
                draft.get([member.key for member in group if member.key is not None])
                for member in group:
                    if member.outcome is not None:
                        continue  # its time was over
                    txn, found = self._work(member, draft)
                    if not isinstance(found, _Failure) and not draft.take(txn):
                        break  # this one and those after it are in the next
                    worked.append((member, found))
                revision = 0
                if not all(isinstance(found, _Failure) for _, found in worked):
                    revision = draft.commit()
        except storage.Conflict:
            raise
        except BaseException as error:
            for member in group:
                self._tell(member, error if isinstance(error, Exception) else _in_doubt())
            if not isinstance(error, Exception):
                raise  # this thread is told to end
            return
        for member, found in worked:
            if isinstance(found, _Failure):
                self._tell(member, found.error)
            else:
                self._tell(member, transaction.Committed(found, revision))

    def _work(self, member: "_Member", draft: Draft) -> tuple[transaction.Transaction, Any]:
        """Its transaction on the draft, and what it came to; the one from before a conflict, if that still holds."""
        if member.worked is None or not draft.holds(member.worked[0]):
            txn = transaction.Transaction(self._transactor, member.ctx, draft.get)
            try:
                result = member.work(txn)
                txn.finish(result)
            except Exception as error:
                return txn, _Failure(error)
            member.worked = txn, result
        return member.worked

    def _tell(self, member: "_Member", outcome: transaction.Committed[Any] | BaseException) -> None:
        with self._mutex:
            if member.outcome is None:
                member.outcome = outcome
                member.called.give()

    def _put_back(self, group: Sequence["_Member"], leader: "_Member") -> None:
        """Those who had no place, or met a conflict, wait again."""
        with self._mutex:
            rest = [member for member in group if member.outcome is None and member is not leader]
            self._waiting = [*rest, *self._waiting]

    def _hand_on(self) -> None:
        """Who may wait longest leads the next: its calls may take the time that the others have."""
        with self._mutex:
            following = max(self._waiting, key=lambda member: member.ctx.deadline, default=None)
            self._led = following is not None
            if following is not None:
                self._waiting.remove(following)
                following.leads = True
                following.called.give()


class _Member:
    """One who wants something committed."""

    def __init__(
        self,
        ctx: context.Context,
        work: Callable[[transaction.Transaction], Any],
        moment: storage.Moment,
    ) -> None:
        self.ctx = ctx
        self.work = work
        self.moment = moment
        #: Where the record of its Idempotency-Key is.
        self.key = ctx.replayable.key if ctx.replayable is not None else None
        #: Given when there is an outcome, or when it is to lead.
        self.called = turns.Call()
        self.leads = False
        #: Its transaction and what that returned, when it was worked last.
        self.worked: tuple[transaction.Transaction, Any] | None = None
        self.outcome: transaction.Committed[Any] | BaseException | None = None

    def left(self) -> float:
        """Seconds until its deadline."""
        return self.ctx.deadline - time.monotonic()

    def committed(self) -> transaction.Committed[Any]:
        """What it came to, or the error."""
        if isinstance(self.outcome, transaction.Committed):
            return self.outcome
        assert self.outcome is not None, "nobody leaves without"
        raise self.outcome


class _Failure:
    """The error of one, which stops no other."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _in_doubt() -> errors.StoreUnavailable:
    return errors.StoreUnavailable("The write was not seen to end; it may or may not have happened.")


def _size(write: storage.Write) -> int:
    value = write.value if isinstance(write, storage.Put) else b""
    return len(write.key.encode()) + len(value)
