"""A store whose calls are counted and timed (:mod:`apisvc.storage.metrics`); otherwise it is the one behind it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apisvc import errors, turns
from apisvc.storage import base, forks, metrics

CALLS = (
    "get",
    "scan",
    "commit",
    "watch",
    "lease",
    "keep_alive",
    "revoke",
    "revision",
    "compact",
    "ping",
    "examine",
)
#: What an error is called; anything else is a ``bug``.
KINDS: dict[type[Exception], str] = {
    base.Conflict: "conflict",
    base.Compacted: "compacted",
    base.LeaseLost: "lease_lost",
    base.InvalidOperation: "invalid",
    errors.StoreUnavailable: "unavailable",
}


class Measured(base.Store):
    """Nobody above knows whether it is there."""

    contract = base.CONTRACT

    def __init__(self, store: base.Store) -> None:
        super().__init__(store.conf)
        self.shared = store.shared
        self.remote = store.remote
        self._store = store
        #: PERF: finding a child by its label costs as much as the rest.
        self._calls: dict[str, Callable[[float], None]] = {
            call: metrics.CALLS.labels(call).observe for call in CALLS
        }
        self._lags = forks.PerProcess(_Lag)

    @contextlib.contextmanager
    def _counted(self, call: str) -> Iterator[None]:
        with turns.waiting() if self.remote or call == "commit" else contextlib.nullcontext():
            begun = time.perf_counter()
            try:
                yield
            except Exception as error:
                count(call, error)
                raise
            finally:
                self._calls[call](time.perf_counter() - begun)

    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        with self._counted("get"):
            return self._store.get(keys, deadline=deadline)

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int = 1000,
        revision: int | None = None,
        deadline: float | None = None,
    ) -> base.Page:
        with self._counted("scan"):
            return self._store.scan(prefix, start=start, limit=limit, revision=revision, deadline=deadline)

    def reading(
        self, *, max_stale: float = 0.0, of: Sequence[base.Moment] | None = None
    ) -> contextlib.AbstractContextManager[base.Moment]:
        return self._store.reading(max_stale=max_stale, of=of)

    def commit(
        self, guards: Sequence[base.Guard], writes: Sequence[base.Write], *, deadline: float | None = None
    ) -> int:
        with self._counted("commit"):
            revision = self._store.commit(guards, writes, deadline=deadline)
        self._lags.get().committed(revision)
        return revision

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> base.Watch:
        with self._counted("watch"):
            return _Watch(self._store.watch(prefix, after=after, deadline=deadline), self._lags.get())

    def lease(self, ttl: float, *, deadline: float | None = None) -> base.Lease:
        with self._counted("lease"):
            return _Lease(self._store.lease(ttl, deadline=deadline), self._counted)

    def revision(self, *, deadline: float | None = None) -> int:
        with self._counted("revision"):
            return self._store.revision(deadline=deadline)

    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        with self._counted("compact"):
            self._store.compact(revision, deadline=deadline)

    def ping(self, *, deadline: float | None = None) -> None:
        with self._counted("ping"):
            self._store.ping(deadline=deadline)

    def examine(self, *, deadline: float | None = None) -> str | None:
        with self._counted("examine"):
            return self._store.examine(deadline=deadline)

    def close(self) -> None:
        self._store.close()


def count(call: str, error: Exception) -> None:
    """Count an error by its kind."""
    kind = next((name for known, name in KINDS.items() if isinstance(error, known)), "bug")
    metrics.ERRORS.labels(call, kind).inc()


class _Lag:
    """Compares the newest commit of this process with how far its watches have come."""

    def __init__(self) -> None:
        #: The newest commit of ours that no watch has brought yet, and when it returned.
        self._awaited: tuple[int, float] | None = None
        self._reached = 0
        self._watches = 0

    # NOTE: Several threads may be here at once; then a figure is missed, and nothing else.

    def opened(self) -> None:
        self._watches += 1

    def closed(self) -> None:
        self._watches -= 1
        if self._watches <= 0:
            self._awaited = None  # nothing is going to bring it

    def committed(self, revision: int) -> None:
        if self._watches <= 0:
            return
        if revision <= self._reached:
            metrics.WATCH_LAG.observe(0.0)
        elif self._awaited is None:
            self._awaited = (revision, time.perf_counter())

    def brought(self, revision: int) -> None:
        self._reached = max(self._reached, revision)
        awaited = self._awaited
        if awaited is not None and awaited[0] <= revision:
            self._awaited = None
            metrics.WATCH_LAG.observe(time.perf_counter() - awaited[1])


class _Watch(base.Watch):
    def __init__(self, watch: base.Watch, lag: _Lag) -> None:
        self._watch = watch
        self._lag = lag
        lag.opened()

    def poll(self, timeout: float) -> base.Batch | None:
        try:
            batch = self._watch.poll(timeout)
        except Exception as error:
            count("watch", error)
            raise
        if batch is not None:
            self._lag.brought(batch.revision)
        return batch

    def close(self) -> None:
        if not self._watch.closed:
            self._lag.closed()
        self._watch.close()

    @property
    def closed(self) -> bool:
        return self._watch.closed


class _Lease(base.Lease):
    def __init__(
        self, lease: base.Lease, counted: Callable[[str], contextlib.AbstractContextManager[Any]]
    ) -> None:
        self.id = lease.id
        self.ttl = lease.ttl
        self._lease = lease
        self._counted = counted

    def keep_alive(self, *, deadline: float | None = None) -> None:
        with self._counted("keep_alive"):
            self._lease.keep_alive(deadline=deadline)

    def revoke(self, *, deadline: float | None = None) -> None:
        with self._counted("revoke"):
            self._lease.revoke(deadline=deadline)
