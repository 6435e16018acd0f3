"""The ``memory`` store: everything in this process, gone with it. For tests and ``--ephemeral``."""

import bisect
import secrets
import threading
import time
from collections.abc import Sequence

from oslo_config import cfg

from apisvc.storage import base


class MemoryStore(base.Store):
    contract = base.CONTRACT
    shared = False

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr | None = None) -> None:
        super().__init__(conf)
        self._changed = threading.Condition()
        self._revision = 0
        self._compacted = 0
        self._keys: list[str] = []  # sorted; every key that has a history
        self._history: dict[str, list[_Version]] = {}  # oldest first
        self._log: list[base.Change] = []
        self._leases: dict[str, _MemoryLease] = {}
        self._closed = False

    # Reads

    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        base.check_keys(keys)
        with self._changed:
            self._expire()
            found = {key: record for key in keys if (record := self._at(key, self._revision))}
            return base.Snapshot(self._revision, found)

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int = 1000,
        revision: int | None = None,
        deadline: float | None = None,
    ) -> base.Page:
        first, _ = base.scan_range(prefix, start, limit)
        with self._changed:
            self._expire()
            at = self._revision if revision is None else revision
            base.require_history(at, compacted=self._compacted, current=self._revision)
            records: list[base.Record] = []
            index = bisect.bisect_left(self._keys, first, key=str.encode)
            while index < len(self._keys) and self._keys[index].startswith(prefix):
                record = self._at(self._keys[index], at)
                if record and len(records) == limit:
                    return base.Page(at, records, more=True)
                if record:
                    records.append(record)
                index += 1
            return base.Page(at, records, more=False)

    def revision(self, *, deadline: float | None = None) -> int:
        with self._changed:
            self._expire()
            return self._revision

    def ping(self, *, deadline: float | None = None) -> None:
        return

    # Writes

    def commit(
        self, guards: Sequence[base.Guard], writes: Sequence[base.Write], *, deadline: float | None = None
    ) -> int:
        base.check(guards, writes)
        with self._changed:
            self._expire()
            for guard in guards:
                self._require(guard)
            for write in writes:
                if (
                    isinstance(write, base.Put)
                    and write.lease is not None
                    and write.lease not in self._leases
                ):
                    raise base.LeaseLost(f"lease {write.lease} has ended")
            return self._apply(writes)

    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        with self._changed:
            self._compacted = max(self._compacted, min(revision, self._revision))
            self._log = [change for change in self._log if change.revision > self._compacted]
            for key, versions in list(self._history.items()):
                visible = [v for v in versions if v.revision <= self._compacted]
                kept = [v for v in versions if v.revision > self._compacted]
                if visible and visible[-1].value is not None:
                    kept.insert(0, visible[-1])
                self._history[key] = kept
                if not kept:
                    del self._history[key]
            self._keys = sorted(self._history, key=str.encode)

    # Watches and leases

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> base.Watch:
        return _MemoryWatch(self, prefix, after)

    def lease(self, ttl: float, *, deadline: float | None = None) -> base.Lease:
        base.check_ttl(ttl)
        with self._changed:
            lease = _MemoryLease(self, secrets.token_hex(8), ttl)
            self._leases[lease.id] = lease
            self._changed.notify_all()
            return lease

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # Within the lock

    def _at(self, key: str, revision: int) -> base.Record | None:
        versions = self._history.get(key, [])
        index = bisect.bisect_right(versions, revision, key=lambda v: v.revision)
        if not index or (version := versions[index - 1]).value is None:
            return None
        return base.Record(key, version.value, version.revision, version.created, version.lease)

    def _require(self, guard: base.Guard) -> None:
        record = self._at(guard.key, self._revision)
        if isinstance(guard, base.Absent):
            holds = record is None
        elif isinstance(guard, base.Present):
            holds = record is not None
        else:
            holds = record is not None and record.revision == guard.revision
        if not holds:
            raise base.Conflict(guard.key)

    def _apply(self, writes: Sequence[base.Write]) -> int:
        effective = [
            write for write in writes if isinstance(write, base.Put) or self._at(write.key, self._revision)
        ]
        if not effective:
            return self._revision
        revision = self._revision + 1
        for write in effective:
            before = self._at(write.key, self._revision)
            created = before.created if before else revision
            value = write.value if isinstance(write, base.Put) else None
            lease = write.lease if isinstance(write, base.Put) else None
            if write.key not in self._history:
                bisect.insort(self._keys, write.key, key=str.encode)
            self._history.setdefault(write.key, []).append(_Version(revision, created, value, lease))
            self._log.append(base.Change(write.key, value, revision, created, lease))
        self._revision = revision
        self._changed.notify_all()
        return revision

    def _end_lease(self, lease_id: str) -> None:
        self._leases.pop(lease_id, None)
        bound = [key for key in self._keys if (r := self._at(key, self._revision)) and r.lease == lease_id]
        self._apply([base.Delete(key) for key in bound])

    def _expire(self) -> None:
        now = time.monotonic()
        for lease in [lease for lease in self._leases.values() if lease.ends_at <= now]:
            self._end_lease(lease.id)

    def _next_expiry(self) -> float:
        return min([lease.ends_at for lease in self._leases.values()], default=float("inf"))


class _Version:
    __slots__ = ("created", "lease", "revision", "value")

    def __init__(self, revision: int, created: int, value: bytes | None, lease: str | None) -> None:
        self.revision = revision
        self.created = created
        self.value = value
        self.lease = lease


class _MemoryLease(base.Lease):
    def __init__(self, store: MemoryStore, lease_id: str, ttl: float) -> None:
        self.id = lease_id
        self.ttl = ttl
        self.ends_at = time.monotonic() + ttl
        self._store = store

    def keep_alive(self, *, deadline: float | None = None) -> None:
        with self._store._changed:
            self._store._expire()
            if self.id not in self._store._leases:
                raise base.LeaseLost(f"lease {self.id} has ended")
            self.ends_at = time.monotonic() + self.ttl

    def revoke(self, *, deadline: float | None = None) -> None:
        with self._store._changed:
            self._store._end_lease(self.id)


class _MemoryWatch(base.Watch):
    def __init__(self, store: MemoryStore, prefix: str, after: int) -> None:
        self._store = store
        base.scan_range(prefix, None, 1)
        self._prefix = prefix
        self._after = after
        self._closed = False

    def poll(self, timeout: float) -> base.Batch | None:
        store, end = self._store, time.monotonic() + timeout
        with store._changed:
            while not self.closed:
                store._expire()
                base.require_history(self._after, compacted=store._compacted, current=store._revision)
                if store._revision > self._after:
                    return self._take()
                now = time.monotonic()
                if now >= end:
                    return None
                # A lease's end makes changes that nobody's commit announces.
                store._changed.wait(max(0.0, min(end, store._next_expiry()) - now))
            return None

    def _take(self) -> base.Batch:
        log = self._store._log
        index = bisect.bisect_right(log, self._after, key=lambda change: change.revision)
        self._after = self._store._revision
        return base.Batch(self._after, [c for c in log[index:] if c.key.startswith(self._prefix)])

    def close(self) -> None:
        with self._store._changed:
            self._closed = True
            self._store._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed or self._store._closed
