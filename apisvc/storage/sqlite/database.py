"""The store's file: connections, turns to write, deadlines, and what its errors mean."""

import collections
import contextlib
import os
import random
import sqlite3
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apisvc import errors
from apisvc.storage import forks
from apisvc.storage.sqlite import layout

T = TypeVar("T")

#: SQLite has locks of its own, for all connections of the process.
_SQLITE = forks.Fence()

#: Idle connections kept; more are open only while more threads use the store at once.
IDLE = 32

_READ_ONLY = "Store file {} is read-only for this process; give it write permission on file and folder."
_DAMAGED = "Store file {} is damaged ({}); restore it from a dump."


class Database:
    """The file as this process sees it. Not to be used across a fork.

    ``until`` is an instant on the ``time.monotonic()`` clock. What SQLite
    raises comes out as StoreUnavailable; after it the next call starts afresh.
    """

    def __init__(self, path: str, synchronous: str) -> None:
        self.path = path
        self._synchronous = synchronous
        self._turn = FairLock()
        self._idle: list[sqlite3.Connection] = []
        #: Device and inode of the file first opened; another in its place is not this store.
        self._identity: tuple[int, int] | None = None

    def read(self, sql: str, arguments: Sequence[Any], until: float) -> list[Any]:
        """The rows of one statement, which is one snapshot. Never waits for a writer."""
        return self._attempt(lambda connection: connection.execute(sql, arguments).fetchall(), until)

    def write(self, work: Callable[[sqlite3.Connection], T], until: float) -> T:
        """Run ``work`` in a write transaction and commit what it did, unless it raises."""
        if not self._turn.acquire(until):
            raise errors.StoreUnavailable(f"Too many writes are waiting for store file {self.path}.")
        try:
            self._require_same_file()
            return self._attempt(lambda connection: _transaction(connection, work), until)
        finally:
            self._turn.release()

    def examine(self, until: float) -> bool:
        """Whether there is a file; StoreUnavailable unless all of it is sound, and may be written."""
        if not os.path.exists(self.path):
            _require_folder(self.path)
            return False
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise errors.StoreUnavailable(_READ_ONLY.format(self.path))
        found = [text for (text,) in self.read("PRAGMA quick_check(3)", (), until)]
        if found != ["ok"]:
            said = " ".join("; ".join(found).split())
            raise errors.StoreUnavailable(_DAMAGED.format(self.path, said))
        return True

    def close(self) -> None:
        """Close the connections. A call that is under way closes its own."""
        with _SQLITE:
            self._drop_idle()

    def _attempt(self, work: Callable[[sqlite3.Connection], T], until: float) -> T:
        """Run ``work`` with a connection, again while another process holds the lock it needs."""
        begun = time.monotonic()
        if begun >= until:
            raise errors.StoreUnavailable("The deadline passed before the store could be asked.")
        pause = 0.0002
        while True:
            try:
                with _SQLITE:
                    return self._with_connection(work)
            except sqlite3.Error as error:
                if not _busy(error):
                    raise self._explain(error) from error
                if time.monotonic() + pause >= until:
                    raise errors.StoreUnavailable(
                        f"Store file {self.path} is locked by another process "
                        f"(waited {time.monotonic() - begun:.1f} s)."
                    ) from error
            # NOTE: SQLite's own busy handler waits up to 100 ms between tries, and knows no deadline.
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 1.5, 0.005)

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._open()
        try:
            return work(connection)
        except sqlite3.Error as error:
            if not _busy(error):
                # A connection may remember what went wrong; a new one does not.
                self._drop_idle()
            raise
        finally:
            if idle is not self._idle or len(idle) >= IDLE:
                connection.close()
            else:
                idle.append(connection)

    def _open(self) -> sqlite3.Connection:
        # Once opened, a file that is gone is not made anew: that would be an empty store.
        if self._identity is None and not os.path.exists(self.path):
            _create_private(self.path)
        connection = sqlite3.connect(
            f"file:{urllib.parse.quote(self.path)}?mode=rw",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            layout.prepare(connection, self.path, self._synchronous)
            self._identity = self._identity or _identity(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop_idle(self) -> None:
        """Close all connections; those in use follow when they are given back."""
        idle, self._idle = self._idle, []
        with contextlib.suppress(IndexError):
            while True:
                idle.pop().close()

    def _require_same_file(self) -> None:
        """A file that was moved away still takes writes, and they would be lost with it."""
        if self._identity is None or self._identity == _identity(self.path):
            return
        self.close()
        if os.path.exists(self.path):
            # NOTE: not simply opened: SQLite would apply the old file's log to the new one.
            raise errors.StoreUnavailable(
                f"Store file {self.path} was replaced while in use; stop all processes that use it, "
                "remove its -wal and -shm files, and start again."
            )

    def _explain(self, error: sqlite3.Error) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(_sentence(error, self.path))


class FairLock:
    """A lock that serves those who wait in the order they came, each until its deadline."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: collections.deque[threading.Lock] = collections.deque()

    def acquire(self, until: float) -> bool:
        """True when the lock is held now, False when it was not to be had by ``until``."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=max(0.0, until - time.monotonic())):
            return True
        with self._mutex:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        # Handed over at the very moment of giving up.
        return True

    def release(self) -> None:
        """Hand it to whoever waits longest."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create_private(path: str) -> None:
    """An empty file that nobody else can read; SQLite gives its companions the same mode.

    It is made here only when there is none: closing any descriptor of a file
    drops all locks that this process holds on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        _require_folder(path)
        raise errors.StoreUnavailable(
            f"Store file {path} cannot be created: {error.strerror or error}."
        ) from error


def _require_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise errors.StoreUnavailable(
            f"Store file {path} cannot be created: folder {folder} does not exist; create it or set [sqlite] path."
        )


def _busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for what Python itself raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sentence(error: sqlite3.Error, path: str) -> str:
    code = _code(error)
    if code == sqlite3.SQLITE_CANTOPEN:
        if not os.path.exists(path):
            return f"Store file {path} is gone; put it back or restart to begin with an empty store."
        return f"Store file {path} cannot be opened: its owner, mode or folder does not allow it, or too many files are open."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return _READ_ONLY.format(path)
    if code == sqlite3.SQLITE_FULL:
        return f"The disk of store file {path} is full; nothing was written."
    if code == sqlite3.SQLITE_NOTADB:
        return f"Store file {path} is not a SQLite database; restore it from a dump or move it away."
    if code == sqlite3.SQLITE_CORRUPT:
        return _DAMAGED.format(path, error)
    if code == sqlite3.SQLITE_IOERR:
        name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
        return f"Store file {path} cannot be read or written ({error}, {name})."
    return f"Store file {path} failed: {error}."
