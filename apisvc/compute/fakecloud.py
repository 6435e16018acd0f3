"""What the ``fake`` driver's backend has: its objects, in memory or in a file that processes share.

An object's future is written down when it is made: a timeline of (instant,
phase). Nothing runs; looking at it at some instant says where it is by then.
"""

import abc
import collections
import contextlib
import itertools
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from apisvc.compute import base

#: The one machine behind it.
NODE = "fake-node"

#: Instant (seconds since the epoch) and the phase from then on; None: it is gone.
Timeline = list[tuple[float, str | None]]


class Object:
    """One thing that runs on the fake backend."""

    __slots__ = (
        "_settled",
        "addresses",
        "env",
        "exit_code",
        "handle",
        "knobs",
        "power",
        "reboots",
        "restarts",
        "runs",
        "shape",
        "tag",
        "timeline",
        "vcpus",
    )

    def __init__(
        self,
        tag: base.Tag,
        timeline: Timeline,
        *,
        power: str = "running",
        reboots: int = 0,
        restarts: int = 0,
        exit_code: int | None = None,
        vcpus: int = 0,
        knobs: dict[str, str] | None = None,
        handle: str | None = None,
        shape: str = "",
        runs: int = 0,
        addresses: list[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.tag = tag
        self.timeline = timeline
        self.power = power
        self.reboots = reboots
        self.restarts = restarts
        self.exit_code = exit_code
        self.vcpus = vcpus
        self.knobs = knobs or {}
        self.handle = handle or f"fake-{tag.instance_id}"
        #: What of its spec cannot be changed while it runs.
        self.shape = shape
        #: How often it began to run.
        self.runs = runs
        self.addresses = addresses or []
        #: Without the secret part, for a file is not the place for it.
        self.env = env or {}
        self._settled: base.Observed | None = None

    def set(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._settled = None

    def phase(self, now: float) -> base.Phase | None:
        """What it is at ``now``; None when it is gone by then."""
        passed = [phase for at, phase in self.timeline if at <= now] or [self.timeline[0][1]]
        return base.Phase(passed[-1]) if passed[-1] else None

    def due(self, now: float) -> float | None:
        """When it changes next by itself."""
        return next((at for at, _ in self.timeline if at > now), None)

    def began(self, now: float) -> float:
        """When it began to run, as far as its timeline tells; 0.0: not yet."""
        return next((at for at, p in self.timeline if p == base.Phase.RUNNING and at <= now), 0.0)

    def observed(self, now: float) -> base.Observed | None:
        # PERF: a hundred thousand settled objects are listed again and again.
        if self._settled is not None:
            return self._settled
        if (phase := self.phase(now)) is None:
            return None
        exited = phase is base.Phase.EXITED
        seen = base.Observed(
            tag=self.tag,
            phase=phase,
            handle=self.handle,
            node=NODE,
            addresses=tuple(self.addresses),
            exit_code=self.exit_code if exited else None,
            started_at=self.began(now) or None,
            finished_at=self.timeline[-1][0] if exited else None,
            restarts=self.restarts,
            reboots=self.reboots,
        )
        if self.due(now) is None:
            self._settled = seen
        return seen

    def dump(self) -> str:
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if name[0] != "_"}
        tag = self.tag
        fields["tag"] = [tag.owner, tag.tenant_id, tag.instance_id, tag.spec_hash, tag.contract]
        return json.dumps(fields)

    @classmethod
    def load(cls, text: str) -> "Object":
        fields = json.loads(text)
        timeline = [(at, phase) for at, phase in fields.pop("timeline")]
        return cls(base.Tag(*fields.pop("tag")), timeline, **fields)


class Cloud(abc.ABC):
    """Where the objects are. Within ``locked()`` nobody else, in any process, sees or changes them."""

    @abc.abstractmethod
    def locked(self) -> contextlib.AbstractContextManager[Any]: ...

    @abc.abstractmethod
    def get(self, instance_id: str) -> Object | None: ...

    @abc.abstractmethod
    def all(self) -> Sequence[Object]: ...

    @abc.abstractmethod
    def put(self, found: Object) -> None: ...

    @abc.abstractmethod
    def drop(self, instance_id: str) -> None: ...

    @abc.abstractmethod
    def facts(self, kind: str) -> dict[str, Any]:
        """What else is so there: by name, of one kind (credentials, cordoned nodes, strays)."""

    @abc.abstractmethod
    def state(self, kind: str, name: str, fact: Any | None) -> None:
        """From now on ``fact`` (plain JSON) is so; None: nothing of that name is."""

    @abc.abstractmethod
    def position(self) -> int:
        """How many changes there were; see :meth:`changes`."""

    @abc.abstractmethod
    def changes(self, after: int, timeout: float) -> tuple[int, list[str] | None]:
        """The new position and the ids changed since ``after``, waiting up to ``timeout`` seconds for one.

        None in place of the ids: too long ago to tell.
        """

    @abc.abstractmethod
    def close(self) -> None: ...


#: How many changes are remembered for those who watch.
_KEPT = 100_000


class MemoryCloud(Cloud):
    """Objects of this process. Drivers that are given the same cloud see the same objects."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._objects: dict[str, Object] = {}
        self._facts: dict[tuple[str, str], Any] = {}
        self._position = 0
        self._log: collections.deque[str] = collections.deque(maxlen=_KEPT)

    def locked(self) -> contextlib.AbstractContextManager[Any]:
        return self._lock

    def get(self, instance_id: str) -> Object | None:
        return self._objects.get(instance_id)

    def all(self) -> Sequence[Object]:
        return list(self._objects.values())

    def put(self, found: Object) -> None:
        self._objects[found.tag.instance_id] = found
        self._note(found.tag.instance_id)

    def drop(self, instance_id: str) -> None:
        self._objects.pop(instance_id, None)
        self._note(instance_id)

    def facts(self, kind: str) -> dict[str, Any]:
        return {name: fact for (of, name), fact in self._facts.items() if of == kind}

    def state(self, kind: str, name: str, fact: Any | None) -> None:
        self._facts.pop((kind, name), None)
        if fact is not None:
            self._facts[kind, name] = fact

    def _note(self, instance_id: str) -> None:
        with self._changed:
            self._log.append(instance_id)
            self._position += 1
            self._changed.notify_all()

    def position(self) -> int:
        with self._lock:
            return self._position

    def changes(self, after: int, timeout: float) -> tuple[int, list[str] | None]:
        with self._changed:
            self._changed.wait_for(lambda: self._position > after, timeout)
            count = self._position - after
            if count > len(self._log):
                return self._position, None
            newest = list(itertools.islice(reversed(self._log), count))
            return self._position, newest[::-1]

    def close(self) -> None:
        return


class FileCloud(Cloud):
    """Objects in a SQLite file: seen by every process that opens it, and still there after a kill."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        self._wait = threading.Event()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            try:
                if self._depth > 1:
                    yield
                    return
                db = self._open()
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except sqlite3.Error as error:
                raise base.Unavailable(f"The fake backend's state file fails: {error}") from error
            finally:
                self._depth -= 1

    def _open(self) -> sqlite3.Connection:
        if self._db is None or self._pid != os.getpid():  # SQLite does not survive a fork
            db = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("CREATE TABLE IF NOT EXISTS objects (id TEXT PRIMARY KEY, data TEXT NOT NULL)")
            db.execute("CREATE TABLE IF NOT EXISTS changes (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS facts (kind TEXT, name TEXT, fact TEXT, UNIQUE (kind, name))"
            )
            self._db, self._pid = db, os.getpid()
        return self._db

    def get(self, instance_id: str) -> Object | None:
        with self._lock:
            query = "SELECT data FROM objects WHERE id = ?"
            row = self._open().execute(query, (instance_id,)).fetchone()
            return Object.load(row[0]) if row else None

    def all(self) -> Sequence[Object]:
        with self._lock:
            return [Object.load(data) for (data,) in self._open().execute("SELECT data FROM objects")]

    def put(self, found: Object) -> None:
        row = (found.tag.instance_id, found.dump())
        self._open().execute("INSERT OR REPLACE INTO objects VALUES (?, ?)", row)
        self._note(found.tag.instance_id)

    def drop(self, instance_id: str) -> None:
        self._open().execute("DELETE FROM objects WHERE id = ?", (instance_id,))
        self._note(instance_id)

    def facts(self, kind: str) -> dict[str, Any]:
        with self._lock:
            rows = self._open().execute("SELECT name, fact FROM facts WHERE kind = ?", (kind,))
            return {name: json.loads(fact) for name, fact in rows}

    def state(self, kind: str, name: str, fact: Any | None) -> None:
        self._open().execute("DELETE FROM facts WHERE kind = ? AND name = ?", (kind, name))
        if fact is not None:
            self._open().execute("INSERT INTO facts VALUES (?, ?, ?)", (kind, name, json.dumps(fact)))

    def _note(self, instance_id: str) -> None:
        done = self._open().execute("INSERT INTO changes (id) VALUES (?)", (instance_id,))
        if (done.lastrowid or 0) % 1000 == 0:
            self._open().execute("DELETE FROM changes WHERE n <= ?", ((done.lastrowid or 0) - _KEPT,))

    def position(self) -> int:
        with self._lock:
            (last,) = self._open().execute("SELECT coalesce(max(n), 0) FROM changes").fetchone()
            return int(last)

    def changes(self, after: int, timeout: float) -> tuple[int, list[str] | None]:
        rows = self._newer(after)
        if not rows and timeout > 0:
            self._wait.wait(min(timeout, 0.02))
            rows = self._newer(after)
        if not rows:
            return after, []
        return rows[-1][0], [i for _, i in rows] if rows[0][0] == after + 1 else None

    def _newer(self, after: int) -> list[tuple[int, str]]:
        query = "SELECT n, id FROM changes WHERE n > ? ORDER BY n"
        try:
            with self._lock:
                return self._open().execute(query, (after,)).fetchall()
        except sqlite3.Error as error:
            raise base.Unavailable(f"The fake backend's state file fails: {error}") from error

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
