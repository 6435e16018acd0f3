"""The mirror as a Store: reads come from memory, everything else goes to the store behind it."""

import contextlib
import threading
import time
from collections.abc import Sequence

from apisvc import errors, turns
from apisvc.model import keys
from apisvc.storage import base, forks
from apisvc.storage.mirror import follower as followers

#: History, and what only workers read: it stays in the store.
LEFT_OUT = (keys.CLAIMS, keys.EVENTS, keys.INSTANCE_TENANTS, keys.REPLAYS, keys.TOMBSTONES)
#: Seconds that a reader who takes stale answers waits for a fresh one.
PATIENCE = 1.0


class Mirror(base.Store):
    """Reads from memory, as current as ``store``; writes to it. Nobody above knows whether it is there."""

    contract = base.CONTRACT

    def __init__(self, store: base.Store, left_out: Sequence[str] = LEFT_OUT, timeout: float = 10.0) -> None:
        """``timeout``: seconds, for a call that has no deadline."""
        super().__init__(store.conf)
        self.shared = store.shared
        self.remote = False
        self._store = store
        self._timeout = timeout
        self._followers = forks.PerProcess(lambda: followers.Follower(store, left_out, timeout))
        self._here = _Here()

    @property
    def follower(self) -> followers.Follower:
        """This process's copy."""
        return self._followers.get()

    # Reads

    def get(self, wanted: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        copy = self._followers.get()
        left_out = copy.left_out
        for key in wanted:  # PERF: several such calls are in every request
            if key.startswith(left_out):
                return self._store.get(wanted, deadline=deadline)
        self._catch_up(copy, deadline)
        found: dict[str, base.Record] = {}
        with copy.lock:
            held, revision = copy.records, copy.revision
            for key in wanted:  # PERF: a comprehension costs as much again
                if record := held.get(key):
                    found[key] = record
        if len(found) < len(wanted) or len(wanted) > base.MAX_OPS:
            base.check_keys(wanted)  # PERF: what is there is a key
        return base.Snapshot(revision, found)

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int = 1000,
        revision: int | None = None,
        deadline: float | None = None,
    ) -> base.Page:
        copy = self.follower
        if revision is not None or not copy.covers(prefix):
            return self._store.scan(prefix, start=start, limit=limit, revision=revision, deadline=deadline)
        base.scan_range(prefix, start, limit)

        self._catch_up(copy, deadline)
        with copy.lock:
            found, more = copy.records.scan(prefix, start, limit)
            return base.Page(copy.revision, found, more)

    def _catch_up(self, copy: followers.Follower, deadline: float | None) -> None:
        """Wait until the copy is as current as the reader needs it."""
        moment = self._here.moment
        if moment is not None and (moment.age is not None or copy.has(moment.revision)):
            return  # who was given old data once is not kept waiting again
        self._wait(copy, moment, time.monotonic() + self._timeout if deadline is None else deadline)

    def _wait(self, copy: followers.Follower, moment: "_Moment | None", until: float) -> None:
        """Until the copy is as current as it must be; or as it may be, of which ``moment`` then has the age."""
        try:
            if moment is None:
                copy.current(until)
            elif moment.revision is None:
                hurry = time.monotonic() + PATIENCE if moment.max_stale else until
                moment.revision = copy.current(min(until, hurry))
            else:
                copy.reach(moment.revision, until)
        except errors.StoreUnavailable:
            age = _age(copy)
            if moment is None or age is None or age > moment.max_stale:
                raise
            moment.age = age

    def reading(
        self, *, max_stale: float = 0.0, of: Sequence[base.Moment] | None = None
    ) -> contextlib.AbstractContextManager[base.Moment]:
        here = self._here
        if of is not None:
            return _Reading(here, _Moment(max_stale, _newest(of)))
        return _Reading(here, here.moment or _Moment(max_stale))

    def ahead(self, deadline: float) -> turns.Asked | None:
        """The current revision, for reads that are about to begin; None: it is not known in time."""
        begun = time.monotonic()
        try:
            return self._store.revision(deadline=deadline), begun
        except errors.StoreUnavailable:
            return None

    # Everything else is the store's

    def commit(
        self, guards: Sequence[base.Guard], writes: Sequence[base.Write], *, deadline: float | None = None
    ) -> int:
        moment = self._here.moment
        seen = moment.revision if moment else None
        if moment is not None:
            moment.revision = None  # unless all goes well, the next read must look anew
        revision = self._store.commit(guards, writes, deadline=deadline)
        if moment is not None and seen is not None:
            moment.revision = max(seen, revision)
        return revision

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> base.Watch:
        return self._store.watch(prefix, after=after, deadline=deadline)

    def lease(self, ttl: float, *, deadline: float | None = None) -> base.Lease:
        return self._store.lease(ttl, deadline=deadline)

    def revision(self, *, deadline: float | None = None) -> int:
        return self._store.revision(deadline=deadline)

    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        self._store.compact(revision, deadline=deadline)

    def ping(self, *, deadline: float | None = None) -> None:
        self._store.ping(deadline=deadline)

    def close(self) -> None:
        if copy := self._followers.pop():
            copy.close()
        self._store.close()


class _Moment(base.Moment):
    """What one reader has been promised."""

    def __init__(self, max_stale: float, revision: int | None = None) -> None:
        super().__init__()
        self.max_stale = max_stale
        #: Reads show at least this; None: the next one asks the store.
        self.revision = revision

    def saw(self, revision: int | None) -> None:
        if self.revision is not None:
            self.revision = None if revision is None else max(self.revision, revision)


class _Here(threading.local):
    """What this thread has been promised, if anything."""

    moment: _Moment | None = None


class _Reading(contextlib.AbstractContextManager[base.Moment]):
    """While it lasts, ``moment`` is what this thread has been promised."""

    # PERF: one made of a generator costs three times as much, and there is one in every request.
    def __init__(self, here: _Here, moment: _Moment) -> None:
        self._here, self._moment = here, moment

    def __enter__(self) -> _Moment:
        self._outer = self._here.moment
        self._here.moment = self._moment
        return self._moment

    def __exit__(self, *_: object) -> None:
        self._here.moment = self._outer


def _newest(moments: Sequence[base.Moment]) -> int | None:
    """What is current enough for each of them; None: only what is so now."""
    seen = [moment.revision if isinstance(moment, _Moment) else None for moment in moments]
    known = [revision for revision in seen if revision is not None]
    return max(known) if known and len(known) == len(seen) else None


def _age(copy: followers.Follower) -> float | None:
    """Seconds since the copy is known to have been complete."""
    return None if copy.complete_at is None else time.monotonic() - copy.complete_at
