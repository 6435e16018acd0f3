"""What happens inside one write transaction. Every function here runs with the write lock held."""

import dataclasses
import sqlite3
from collections.abc import Collection, Sequence

from apisvc.storage import base


@dataclasses.dataclass(frozen=True, slots=True)
class Now:
    """This instant as leases are judged by it: seconds since a boot, and which boot."""

    boot: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction did. Ended leases may have moved the revision even when it was refused."""

    before: int
    revision: int
    refusal: Exception | None = None

    @property
    def moved(self) -> bool:
        return self.revision > self.before


def apply(
    connection: sqlite3.Connection, now: Now, guards: Sequence[base.Guard], writes: Sequence[base.Write]
) -> Outcome:
    """End the leases that are over, then write if all guards hold."""
    ended = end_due_leases(connection, now)
    keys = {guard.key.encode() for guard in guards} | {write.key.encode() for write in writes}
    current = _current(connection, keys)
    refusal = _broken_guard(guards, current) or _lost_lease(connection, writes)
    if refusal is not None:
        return dataclasses.replace(ended, refusal=refusal)
    return dataclasses.replace(ended, revision=_write(connection, ended.revision, writes, current))


def end_due_leases(connection: sqlite3.Connection, now: Now) -> Outcome:
    """End every lease that is over at ``now``; all their keys vanish in one commit."""
    due = connection.execute("SELECT id FROM lease WHERE boot <> ? OR ends_at <= ?", (now.boot, now.seconds))
    return end_leases(connection, [lease for (lease,) in due])


def end_leases(connection: sqlite3.Connection, leases: Sequence[str]) -> Outcome:
    """End these leases; all their keys vanish in one commit."""
    (before,) = connection.execute("SELECT revision FROM state").fetchone()
    bound: list[bytes] = []
    for lease in leases:
        connection.execute("DELETE FROM lease WHERE id = ?", (lease,))
        rows = connection.execute("SELECT key FROM record WHERE lease = ? AND superseded IS NULL", (lease,))
        bound += [key for (key,) in rows]
    deletes = [base.Delete(key.decode()) for key in sorted(bound)]
    # In pieces: a lease may hold more keys than one statement takes.
    current: dict[bytes, tuple[int, int]] = {}
    for index in range(0, len(bound), 256):
        current |= _current(connection, bound[index : index + 256])
    return Outcome(before, _write(connection, before, deletes, current))


def touch(connection: sqlite3.Connection) -> None:
    """Write and leave all as it is: only a real write shows a full disk.

    SQLite leaves out an update that changes no byte, but not a row that comes and goes.
    """
    connection.execute("INSERT INTO lease (id, boot, ends_at) VALUES ('ping', '', 0)")
    connection.execute("DELETE FROM lease WHERE id = 'ping'")


def begin_lease(connection: sqlite3.Connection, now: Now, lease: str, ttl: float) -> None:
    connection.execute(
        "INSERT INTO lease (id, boot, ends_at) VALUES (?, ?, ?)", (lease, now.boot, now.seconds + ttl)
    )


def extend_lease(connection: sqlite3.Connection, now: Now, lease: str, ttl: float) -> Outcome:
    """Begin a new ``ttl``; refused when the lease is over at ``now``."""
    ended = end_due_leases(connection, now)
    extended = connection.execute("UPDATE lease SET ends_at = ? WHERE id = ?", (now.seconds + ttl, lease))
    return ended if extended.rowcount else dataclasses.replace(ended, refusal=_ended(lease))


def compact(connection: sqlite3.Connection, revision: int, rows: int) -> int:
    """Raise the compacted revision, drop up to ``rows`` rows that are out of reach; how many it were."""
    connection.execute(
        "UPDATE state SET compacted = min(revision, ?) WHERE compacted < min(revision, ?)",
        (revision, revision),
    )
    return connection.execute(
        "DELETE FROM record WHERE id IN ("
        "SELECT id FROM record WHERE superseded <= (SELECT compacted FROM state) LIMIT ?)",
        (rows,),
    ).rowcount


def _current(connection: sqlite3.Connection, keys: Collection[bytes]) -> dict[bytes, tuple[int, int]]:
    """``(revision, created)`` of those of the keys that exist."""
    marks = ",".join("?" * len(keys)) or "NULL"
    wanted = f"superseded IS NULL AND key IN ({marks})"
    rows = connection.execute(
        f"SELECT key, revision, created FROM record INDEXED BY record_current WHERE {wanted}",  # noqa: S608
        list(keys),
    )
    return {key: (revision, created) for key, revision, created in rows}


def _broken_guard(
    guards: Sequence[base.Guard], current: dict[bytes, tuple[int, int]]
) -> base.Conflict | None:
    for guard in guards:
        found = current.get(guard.key.encode())
        if isinstance(guard, base.Absent):
            holds = found is None
        elif isinstance(guard, base.Present):
            holds = found is not None
        else:
            holds = found is not None and found[0] == guard.revision
        if not holds:
            return base.Conflict(guard.key)
    return None


def _lost_lease(connection: sqlite3.Connection, writes: Sequence[base.Write]) -> base.LeaseLost | None:
    for lease in {write.lease for write in writes if isinstance(write, base.Put)} - {None}:
        if not connection.execute("SELECT 1 FROM lease WHERE id = ?", (lease,)).fetchone():
            return _ended(lease)
    return None


def _ended(lease: str | None) -> base.LeaseLost:
    return base.LeaseLost(f"lease {lease} has ended")


def _write(
    connection: sqlite3.Connection,
    before: int,
    writes: Sequence[base.Write],
    current: dict[bytes, tuple[int, int]],
) -> int:
    """Apply the writes; the revision after them, which is ``before`` when there was nothing to do."""
    revision = before + 1
    replaced: list[tuple[int, bytes]] = []
    added: list[tuple[bytes, int, int, bytes | None, str | None, int | None]] = []
    for write in writes:
        key = write.key.encode()
        found = current.get(key)
        if found is not None:
            replaced.append((revision, key))
        if isinstance(write, base.Put):
            created = found[1] if found else revision
            added.append((key, revision, created, write.value, write.lease, None))
        elif found is not None:
            added.append((key, revision, found[1], None, None, revision))
    if not added:
        return before
    connection.executemany("UPDATE record SET superseded = ? WHERE key = ? AND superseded IS NULL", replaced)
    connection.executemany(
        "INSERT INTO record (key, revision, created, value, lease, superseded) VALUES (?, ?, ?, ?, ?, ?)",
        added,
    )
    connection.execute("UPDATE state SET revision = ?", (revision,))
    return revision
