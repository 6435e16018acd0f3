"""Random histories: the store does what a small model does, case by case."""

import itertools
from typing import Any

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from apisvc.storage import base
from apisvc.testing.storage import harness

#: Few, so that they meet; some are prefixes of others, some sort differently in other encodings.
KEYS = ["a", "a/", "a/b", "a0", "b", "b/\u00e9", "\uffee", "\U0001f600"]
PREFIXES = ["", "a", "a/", "b", "\u00e9", "\uffee"]

_keys = st.sampled_from(KEYS)
_puts = st.builds(base.Put, _keys, st.binary(max_size=3))
_writes = st.lists(_puts | st.builds(base.Delete, _keys), max_size=4, unique_by=lambda write: write.key)


class Model:
    """The contract at its simplest: a copy of everything at each revision."""

    def __init__(self, revision: int) -> None:
        self.first = self.compacted = revision
        self.states: dict[int, dict[str, base.Record]] = {revision: {}}
        self.log: list[base.Change] = []
        self.leases: set[str] = set()

    @property
    def revision(self) -> int:
        return max(self.states)

    @property
    def now(self) -> dict[str, base.Record]:
        return self.states[self.revision]

    def at(self, revision: int, prefix: str = "") -> list[base.Record]:
        """What was under a prefix at a revision, in key order."""
        state = self.states[max(at for at in self.states if at <= revision)]
        return sorted(
            [record for record in state.values() if record.key.startswith(prefix)],
            key=lambda record: record.key.encode(),
        )

    def holds(self, guard: base.Guard) -> bool:
        record = self.now.get(guard.key)
        if isinstance(guard, base.Absent):
            return record is None
        return record is not None and (isinstance(guard, base.Present) or record.revision == guard.revision)

    def apply(self, revision: int, writes: list[base.Write]) -> None:
        state = dict(self.now)
        for write in writes:
            before = state.pop(write.key, None)
            if isinstance(write, base.Put):
                created = before.created if before else revision
                state[write.key] = base.Record(write.key, write.value, revision, created, write.lease)
                self.log.append(base.Change(write.key, write.value, revision))
            elif before:
                self.log.append(base.Change(write.key, None, revision))
        self.states[revision] = state


class Machine(stateful.RuleBasedStateMachine):
    """Does the same to a store and to the model. Each run has a corner of the store for itself."""

    store: base.Store
    corners: "itertools.count[int]"

    def __init__(self) -> None:
        super().__init__()
        self.corner = f"run{next(self.corners):06}/"
        self.model = Model(self.store.revision())
        self.watch = self.store.watch(self.corner, after=self.model.revision)
        self.watched = 0
        self.leases: dict[str, base.Lease] = {}

    def teardown(self) -> None:
        self.watch.close()
        for lease in self.leases.values():
            lease.revoke()

    # Writes

    @stateful.rule(data=st.data(), writes=_writes)
    def commit(self, data: st.DataObject, writes: list[base.Write]) -> None:
        guards = data.draw(st.lists(self._guards(), max_size=3))
        leases = st.sampled_from([None, *self.leases])
        writes = [
            base.Put(write.key, write.value, data.draw(leases)) if isinstance(write, base.Put) else write
            for write in writes
        ]
        before = self.model.revision
        try:
            revision = self.store.commit(list(map(self._out, guards)), list(map(self._out, writes)))
        except base.Conflict:
            assert not all(map(self.model.holds, guards)), "a Conflict though all guards hold"
            return
        except base.LeaseLost:
            wanted = {write.lease for write in writes if isinstance(write, base.Put)} - {None}
            assert wanted - self.model.leases, "LeaseLost though all leases last"
            return
        assert all(map(self.model.holds, guards)), "committed against a guard"
        moving = [w for w in writes if isinstance(w, base.Put) or w.key in self.model.now]
        assert revision > before if moving else revision >= before
        if revision > before:
            self.model.apply(revision, writes)

    @stateful.rule()
    def begin_lease(self) -> None:
        lease = self.store.lease(3600)
        self.leases[lease.id] = lease
        self.model.leases.add(lease.id)

    @stateful.precondition(lambda self: self.leases)
    @stateful.rule(data=st.data())
    def revoke_lease(self, data: st.DataObject) -> None:
        lease = self.leases[data.draw(st.sampled_from(list(self.leases)))]
        lease.revoke()
        self.model.leases.discard(lease.id)
        bound = [record.key for record in self.model.now.values() if record.lease == lease.id]
        revision = self.store.revision()
        assert revision > self.model.revision if bound else revision >= self.model.revision
        if revision > self.model.revision:
            self.model.apply(revision, [base.Delete(key) for key in sorted(bound)])

    @stateful.rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        revision = data.draw(self._revisions())
        self.store.compact(revision)
        self.model.compacted = max(self.model.compacted, revision)

    # Reads

    @stateful.rule(keys=st.lists(_keys, max_size=4))
    def get(self, keys: list[str]) -> None:
        snapshot = self.store.get([self.corner + key for key in keys])
        assert snapshot.revision == self.store.revision() == self.model.revision
        expected = {key: self.model.now[key] for key in keys if key in self.model.now}
        assert {key.removeprefix(self.corner): self._in(r) for key, r in snapshot.records.items()} == expected

    @stateful.rule(
        data=st.data(),
        prefix=st.sampled_from(PREFIXES),
        start=st.none() | _keys,
        limit=st.integers(1, 6),
    )
    def page(self, data: st.DataObject, prefix: str, start: str | None, limit: int) -> None:
        at = data.draw(st.none() | self._revisions())
        first = None if start is None else self.corner + start
        try:
            page = self.store.scan(self.corner + prefix, start=first, limit=limit, revision=at)
        except base.Compacted as gone:
            assert at is not None
            assert at < self.model.compacted == gone.revision
            return
        assert at is None or at >= self.model.compacted
        expected = [
            record
            for record in self.model.at(self.model.revision if at is None else at, prefix)
            if record.key.encode() >= (start or "").encode()
        ]
        assert page.revision == (self.model.revision if at is None else at)
        assert list(map(self._in, page.records)) == expected[:limit]
        assert page.more == (len(expected) > limit)

    @stateful.rule(data=st.data(), prefix=st.sampled_from(PREFIXES))
    def watch_the_past(self, data: st.DataObject, prefix: str) -> None:
        after = data.draw(self._revisions())
        with self.store.watch(self.corner + prefix, after=after) as watch:
            try:
                seen = self._drain(watch, after)
            except base.Compacted as gone:
                assert after < self.model.compacted == gone.revision
                return
        assert after >= self.model.compacted
        expected = [c for c in self.model.log if c.revision > after and c.key.startswith(prefix)]
        assert seen == _in_commits(expected)

    @stateful.invariant()
    def the_watch_misses_nothing(self) -> None:
        """One watch lives through the whole run, and is always up to date before a compaction."""
        seen = self._drain(self.watch, self.watched or self.model.first)
        expected = [c for c in self.model.log if c.revision > self.watched]
        assert seen == _in_commits(expected)
        self.watched = self.model.revision

    # Helpers

    def _revisions(self) -> "st.SearchStrategy[int]":
        # NOTE: by place, never by number: a history must draw the same when it is repeated.
        return st.sampled_from(list(self.model.states))

    def _guards(self) -> Any:
        existing = [base.AtRevision(record.key, record.revision) for record in self.model.now.values()]
        anything = (
            st.builds(base.Absent, _keys)
            | st.builds(base.Present, _keys)
            | st.builds(base.AtRevision, _keys, self._revisions())
        )
        return anything | st.sampled_from(existing) if existing else anything

    def _drain(self, watch: base.Watch, position: int) -> list[base.Change]:
        """Every change up to the present; batches move on and cut no commit."""
        seen: list[base.Change] = []
        while position < self.model.revision:
            batch = watch.poll(harness.PATIENCE)
            assert batch is not None, "a change is missing"
            assert position < batch.revision <= self.model.revision
            assert all(position < change.revision <= batch.revision for change in batch.changes)
            seen += batch.changes
            position = batch.revision
        return _in_commits([self._in(change) for change in seen])

    def _out(self, operation: Any) -> Any:
        """The guard or write, in this run's corner."""
        return _renamed(operation, self.corner + operation.key)

    def _in(self, found: Any) -> Any:
        """The record or change, as the model knows it."""
        return _renamed(found, found.key.removeprefix(self.corner))


def _renamed(thing: Any, key: str) -> Any:
    fields = {name: getattr(thing, name) for name in thing.__slots__}
    return type(thing)(**(fields | {"key": key}))


def _in_commits(changes: list[base.Change]) -> list[base.Change]:
    """Commit by commit; within one, the contract promises no order."""
    return sorted(changes, key=lambda change: (change.revision, change.key.encode()))


class Agreeing(harness.Harness):
    #: Histories tried, each of up to ``steps`` operations.
    histories = 200
    steps = 30

    def test_random_histories_agree_with_the_model(self) -> None:
        machine = type("Machine", (Machine,), {"store": self.store, "corners": itertools.count()})
        stateful.run_state_machine_as_test(
            machine,
            settings=hypothesis.settings(
                max_examples=self.histories,
                stateful_step_count=self.steps,
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        )
