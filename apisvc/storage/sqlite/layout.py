"""The tables, and what makes a file ours.

``record`` has a row for each version of a key. ``superseded`` is the revision
that put another in its place (NULL: it is the current one), so a row shows
the state at every revision R with ``revision <= R < superseded``. A delete is a
row without a value, superseded by its own revision: no read ever sees it, only
watches do. Compacting to C drops the rows with ``superseded <= C``.
"""

import sqlite3

from apisvc import errors

#: "asvc", in the file's header: tells our file from another program's.
APPLICATION = 0x61737663
#: Version of these tables, in the file's header; a newer one is refused.
VERSION = 1

TABLES = (
    """
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,     -- order of writing, also within a commit
        key BLOB NOT NULL,          -- UTF-8, so that it is ordered by bytes
        revision INTEGER NOT NULL,
        created INTEGER NOT NULL,
        value BLOB,                 -- NULL: deleted
        lease TEXT,
        superseded INTEGER          -- NULL: current
    )
    """,
    "CREATE UNIQUE INDEX record_current ON record (key) WHERE superseded IS NULL",
    "CREATE UNIQUE INDEX record_history ON record (key, revision)",
    "CREATE INDEX record_log ON record (revision)",
    "CREATE INDEX record_past ON record (superseded) WHERE superseded IS NOT NULL",
    "CREATE INDEX record_leased ON record (lease) WHERE superseded IS NULL AND lease IS NOT NULL",
    # ends_at is on the monotonic clock of one boot; after a reboot every lease is over.
    "CREATE TABLE lease (id TEXT PRIMARY KEY, boot TEXT NOT NULL, ends_at REAL NOT NULL)",
    "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL, compacted INTEGER NOT NULL)",
    "INSERT INTO state VALUES (1, 0, 0)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


def prepare(connection: sqlite3.Connection, path: str, synchronous: str) -> None:
    """Make the connection ready for use, and the tables when the file is new.

    :raises StoreUnavailable: the file is not ours, or newer than this code.
    """
    version = _version(connection, path)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise errors.StoreUnavailable(
            f"Store file {path} cannot use write-ahead logging ({mode}); put it on a local file system."
        )
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # Bounds the log file after a burst or a long-running reader.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if version == 0:
        _create(connection, path)


def _version(connection: sqlite3.Connection, path: str) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (application, version, tables) != (0, 0, 0):
        raise errors.StoreUnavailable(f"Store file {path} is a database of another program.")
    if version > VERSION:
        raise errors.StoreUnavailable(
            f"Store file {path} has schema version {version}, this apisvc knows up to {VERSION}: "
            "it was used by a newer apisvc; upgrade this one or restore a dump."
        )
    return int(version)


def _create(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        if _version(connection, path) == 0:
            for statement in TABLES:
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
