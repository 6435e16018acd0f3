"""The driver: the contract's calls on one SQLite file."""

import os
import secrets
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from apisvc.storage import base, forks
from apisvc.storage.sqlite import leases, process, transactions, watches

#: Rows dropped in one transaction of a compaction, so that commits get their turn in between.
COMPACT_ROWS = 1000

#: PERF: "one = 1" tells the planner that there is one such row; else it would sort every record found.
_SCAN = """
    SELECT state.revision, state.compacted, record.key, record.value, record.revision, record.created, record.lease
    FROM state LEFT JOIN record INDEXED BY {index}
    ON record.key >= ? AND record.key < ? AND {visible}
    WHERE state.one = 1
    ORDER BY record.key LIMIT ?
"""
_SCAN_CURRENT = _SCAN.format(index="record_current", visible="record.superseded IS NULL")
_SCAN_PAST = _SCAN.format(
    index="record_history",
    visible="record.revision <= ? AND (record.superseded IS NULL OR record.superseded > ?)",
)


def _get(count: int) -> str:
    marks = ",".join("?" * count) or "NULL"
    return f"""
        SELECT state.revision, record.key, record.value, record.revision, record.created, record.lease
        FROM state LEFT JOIN record INDEXED BY record_current
        ON record.superseded IS NULL AND record.key IN ({marks})
    """  # noqa: S608 (question marks only)


#: The statement of a get, by the number of its keys.
_GET = [_get(count) for count in range(base.MAX_OPS + 1)]


class SqliteStore(base.Store):
    """One SQLite file in WAL mode, shared by all processes of a host. See the package."""

    contract = base.CONTRACT

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        super().__init__(conf)
        self._path = os.path.abspath(conf.path)
        self._timeout: float = conf.timeout
        self._synchronous: str = conf.synchronous
        self._processes = forks.PerProcess(
            lambda: process.Process(self._path, self._synchronous, self._timeout)
        )

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return [
            cfg.StrOpt(
                "path",
                default="$state_dir/apisvc.sqlite",
                help="The file. It is made when it does not exist, its folder is not. It must lie on a local "
                "file system; SQLite keeps two files beside it, and the folder <path>.wake holds the sockets "
                "by which processes wake each other.",
            ),
            cfg.FloatOpt(
                "timeout",
                default=10.0,
                min=0.1,
                help="Seconds a call may wait for the file when its caller sets no deadline.",
            ),
            cfg.StrOpt(
                "synchronous",
                default="full",
                choices=[
                    ("full", "a commit is on the disk before it is answered"),
                    ("normal", "faster; a power failure may lose the last commits, never the file"),
                ],
                help="When a commit counts as done.",
            ),
        ]

    # Reads

    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        base.check_keys(keys)
        rows = self._read(_GET[len(keys)], [key.encode() for key in keys], deadline)
        return base.Snapshot(rows[0][0], {record.key: record for record in _records(rows)})

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int = 1000,
        revision: int | None = None,
        deadline: float | None = None,
    ) -> base.Page:
        first, end = base.scan_range(prefix, start, limit)
        if revision is None:
            rows = self._read(_SCAN_CURRENT, [first, end, limit + 1], deadline)
            revision = rows[0][0]
        else:
            rows = self._here.read(_SCAN_PAST, [first, end, revision, revision, limit + 1], deadline)
            current, compacted = rows[0][:2]
            base.require_history(revision, compacted=compacted, current=current)
        records = _records(rows)
        return base.Page(revision, records[:limit], more=len(records) > limit)

    def revision(self, *, deadline: float | None = None) -> int:
        return int(self._here.read("SELECT revision FROM state", (), deadline)[0][0])

    def ping(self, *, deadline: float | None = None) -> None:
        self._here.write(transactions.touch, deadline)

    def examine(self, *, deadline: float | None = None) -> str | None:
        return f"{self._path} is sound" if self._here.examine(deadline) else None

    # Writes

    def commit(
        self, guards: Sequence[base.Guard], writes: Sequence[base.Write], *, deadline: float | None = None
    ) -> int:
        base.check(guards, writes)
        here = self._here
        return here.transact(
            lambda connection: transactions.apply(connection, here.now(), guards, writes), deadline
        ).revision

    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        here = self._here
        until = here.until(deadline)
        dropped = COMPACT_ROWS
        while dropped == COMPACT_ROWS:
            dropped = here.write(
                lambda connection: transactions.compact(connection, revision, COMPACT_ROWS), until
            )

    # Watches and leases

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> base.Watch:
        return watches.SqliteWatch(self._here, prefix, after)

    def lease(self, ttl: float, *, deadline: float | None = None) -> base.Lease:
        base.check_ttl(ttl)
        lease = leases.SqliteLease(lambda: self._here, secrets.token_hex(8), ttl)
        lease.begin(deadline)
        return lease

    def close(self) -> None:
        here = self._processes.pop()
        if here is not None:
            here.close()

    # Within

    @property
    def _here(self) -> process.Process:
        return self._processes.get()

    def _read(self, sql: str, arguments: Sequence[Any], deadline: float | None) -> list[Any]:
        """Rows of the present, which begin with the revision and end with the lease."""
        here = self._here
        until = here.until(deadline)
        rows = here.read(sql, arguments, until)
        # Where nobody watches or commits, it falls to a reader to end the leases that are over.
        if any(row[-1] is not None for row in rows) and here.look(until)[0] != rows[0][0]:
            rows = here.read(sql, arguments, until)
        return rows


def _records(rows: Sequence[Any]) -> list[base.Record]:
    """The records in rows of (..., key, value, revision, created, lease); no key, no record."""
    return [
        base.Record(key.decode(), value, revision, created, lease)
        for *_, key, value, revision, created, lease in rows
        if key is not None
    ]
