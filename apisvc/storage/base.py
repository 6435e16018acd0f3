"""The storage contract: an ordered key-value store with one revision counter.

The docstrings here are the specification; ``apisvc.testing.storage`` is the
same text as tests. The contract is the part of etcd's v3 model that apisvc
needs, so that an embedded store and a cluster are used alike.

**Keys** are ``str`` (1 to 512 bytes of UTF-8, no NUL), ordered by their UTF-8
bytes. **Values** are ``bytes``, at most :data:`MAX_VALUE`. Every successful
:meth:`Store.commit` that writes moves the **revision**, an integer from 1
upwards, by at least one; all its writes bear that one revision.

**Deadlines.** Every call takes ``deadline``: an instant on the
``time.monotonic()`` clock, or None for the driver's configured timeout. A call
that cannot finish by then raises :class:`~apisvc.errors.StoreUnavailable`; no
call ever hangs. After such an error a commit may or may not have happened; who
must know reads again.

**Consistency.** Commits are serializable, reads linearizable: a read begun
after a commit returned (in any process) sees it.

**Forks and threads.** A store may be used by many threads. It opens nothing in
``__init__`` and does no I/O before the first call, and notices a fork by
itself, so it can be built before gunicorn forks.
"""

import abc
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

import msgspec
from oslo_config import cfg

#: Contract version ``major.minor``; a driver states the one it was written for.
CONTRACT = "1.0"

#: Bytes of a key.
MAX_KEY = 512
#: Bytes of a value.
MAX_VALUE = 1024 * 1024
#: Guards, and writes, in one commit: at most this many of each.
MAX_OPS = 128
#: Bytes of all keys and values that one commit writes, together.
MAX_COMMIT = 1280 * 1024


class Record(msgspec.Struct, frozen=True, gc=False):
    """A key as it was at some revision."""

    key: str
    value: bytes
    #: The commit that wrote this value.
    revision: int
    #: The commit that created the key (a delete and a put create it anew).
    created: int
    #: The lease the key is bound to, or None.
    lease: str | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """Some keys, all at one revision. Missing keys are not in ``records``."""

    revision: int
    records: Mapping[str, Record]


class Page(msgspec.Struct, frozen=True):
    """Part of a scan, in key order. ``more`` says that keys follow the last one."""

    revision: int
    records: Sequence[Record]
    more: bool


class AtRevision(msgspec.Struct, frozen=True, gc=False):
    """Guard: the key exists and was last written by commit ``revision``."""

    key: str
    revision: int


class Absent(msgspec.Struct, frozen=True, gc=False):
    """Guard: the key does not exist."""

    key: str


class Present(msgspec.Struct, frozen=True, gc=False):
    """Guard: the key exists."""

    key: str


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write: the key gets this value; bound to ``lease``, or to none if None."""

    key: str
    value: bytes
    lease: str | None = None


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Write: the key is gone. A missing key is no error and makes no event."""

    key: str


Guard = AtRevision | Absent | Present
Write = Put | Delete


class Change(msgspec.Struct, frozen=True, gc=False, eq=False):
    """What a commit did to a key. ``value`` is None when it was deleted (or its lease ended)."""

    key: str
    value: bytes | None
    revision: int
    #: Of a put: the rest of its record, so that a watch tells all that a read would.
    created: int = 0
    lease: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return (self.key, self.value, self.revision) == (other.key, other.value, other.revision)

    def __hash__(self) -> int:
        return hash((self.key, self.value, self.revision))


class Batch(msgspec.Struct, frozen=True):
    """All changes under a watch up to ``revision``, in commit order.

    A batch never cuts a commit in two. An empty one says that nothing under the
    prefix changed up to ``revision``; so a watcher's position always moves on.
    """

    revision: int
    changes: Sequence[Change]


class Conflict(Exception):
    """A guard did not hold; nothing was written."""


class Compacted(Exception):
    """The history asked for is gone. ``revision`` can still be read, and watched after."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"history is kept from revision {revision}")
        self.revision = revision


class LeaseLost(Exception):
    """The lease has expired or was revoked; its keys are gone."""


class InvalidOperation(ValueError):
    """The caller broke the contract: a bad key, a value or transaction too large, a key written twice."""


class Moment:
    """What became of the reads of a :meth:`Store.reading`."""

    #: Seconds that the oldest of them may lag behind; None: all were current.
    age: float | None = None

    def saw(self, revision: int | None) -> None:
        """Another thread has committed for this one, at ``revision``; None: it may have. Later reads show that."""


class Watch(abc.ABC, Iterator[Batch]):
    """An endless iterator of batches; a context manager.

    ``next()`` blocks until there is a batch. It raises :class:`Compacted` when
    the watch fell behind a compaction, ``StoreUnavailable`` when the store has
    been out of reach (the watch is then over: open another after the last
    batch's revision), and ``StopIteration`` after :meth:`close`.
    """

    @abc.abstractmethod
    def poll(self, timeout: float) -> Batch | None:
        """The next batch, or None when there was none within ``timeout`` seconds (or after close)."""

    @abc.abstractmethod
    def close(self) -> None:
        """End it, from any thread; a blocked ``next()`` returns at once. May be called twice."""

    @property
    @abc.abstractmethod
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""

    def __next__(self) -> Batch:
        while not self.closed:
            batch = self.poll(60.0)
            if batch is not None:
                return batch
        raise StopIteration

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Lease(abc.ABC):
    """A promise that its holder lives. Keys bound to it vanish when it ends."""

    #: Names the lease in :class:`Put`; unique in the store for ever.
    id: str
    #: Seconds it lasts after the last keep-alive.
    ttl: float

    @abc.abstractmethod
    def keep_alive(self, *, deadline: float | None = None) -> None:
        """Begin a new ``ttl`` now. LeaseLost when it has already ended."""

    @abc.abstractmethod
    def revoke(self, *, deadline: float | None = None) -> None:
        """End it now; its keys vanish in one commit. An ended lease is no error."""


class Store(abc.ABC):
    """A storage driver. Entry-point group ``apisvc.storage``.

    Built as ``Driver(conf)`` with ``conf`` the oslo.config group of its own
    name, ``[<driver name>]``, in which :meth:`options` were registered. Without
    options it may be None.
    """

    #: The contract version the driver was written for.
    contract: str
    #: Whether other processes have the same data. What is not shared serves a single process, for trying things.
    shared: bool = True
    #: Whether each read is a call over a network, so that a mirror is worth its memory.
    remote: bool = False

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr | None) -> None:
        self.conf = conf

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """The options of this driver, each with type, default and help."""
        return ()

    @abc.abstractmethod
    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> Snapshot:
        """The current records of up to MAX_OPS ``keys``, all at one revision."""

    @abc.abstractmethod
    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int = 1000,
        revision: int | None = None,
        deadline: float | None = None,
    ) -> Page:
        """Up to ``limit`` records under ``prefix`` in key order.

        ``start``: begin at the first key >= it (or at the prefix when it is
        smaller). ``revision``: as things stood then, so that several pages can
        be one snapshot; Compacted when that is gone, or when the store has not
        come so far (it was restored from an older state); the page bears the
        revision it shows. ``prefix`` may be ``""``: all keys. InvalidOperation
        unless ``limit`` is at least 1.
        """

    def reading(
        self, *, max_stale: float = 0.0, of: Sequence[Moment] | None = None
    ) -> contextlib.AbstractContextManager[Moment]:
        """Reads by this thread that make one answer together.

        Each may be as current as the block's beginning or this thread's own last
        commit, whichever is later; so a driver may ask only once how current
        that is. ``max_stale``: while the store is out of reach, reads may be
        served that were current so many seconds ago. Within another block it is
        that one that counts, unless ``of`` is given: then this thread reads for
        those whose moments these are, each as currently as any of them must;
        for none of them, as of now. A driver that reads from the store itself
        has nothing to do here.
        """
        return contextlib.nullcontext(Moment())

    @abc.abstractmethod
    def commit(
        self, guards: Sequence[Guard], writes: Sequence[Write], *, deadline: float | None = None
    ) -> int:
        """Apply all ``writes`` if all ``guards`` hold, else Conflict; returns the revision.

        A put bound to an ended lease is LeaseLost and writes nothing. Without
        writes it checks the guards and returns the current revision. Deleting
        only missing keys may or may not move the revision.
        """

    @abc.abstractmethod
    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> Watch:
        """All changes under ``prefix`` by commits later than ``after``.

        ``after`` may lie in the past or be the revision of a snapshot just
        read; nothing is missed and nothing is seen twice. Compacted, raised
        here or by the first ``poll``, when that history is gone, or when the
        store has not come so far (it was restored from an older state). A
        change is delivered within 50 ms of the return of its commit, whichever
        process made it.
        """

    @abc.abstractmethod
    def lease(self, ttl: float, *, deadline: float | None = None) -> Lease:
        """A new lease of ``ttl`` seconds (1 to 86400; a driver may round up to whole seconds).

        After its end its keys vanish within one further second, and the
        watches see it.
        """

    @abc.abstractmethod
    def revision(self, *, deadline: float | None = None) -> int:
        """The current revision, linearizable; cheaper than a read. A new embedded store begins at 0."""

    @abc.abstractmethod
    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        """Forget what was before ``revision``: older reads and watches get Compacted. Repeatable.

        Reads at ``revision`` and watches after it still work. What lies beyond
        the current revision stops at that.
        """

    @abc.abstractmethod
    def ping(self, *, deadline: float | None = None) -> None:
        """Return when the store can be read and written; else StoreUnavailable saying why."""

    def examine(self, *, deadline: float | None = None) -> str | None:
        """A line for an operator on what it keeps; None when that was never begun.

        Before an upgrade: looks as closely as it can (an embedded store at its
        whole file), and neither makes nor changes anything. StoreUnavailable
        says what is wrong.
        """
        return f"revision {self.revision(deadline=deadline)}"

    def close(self) -> None:  # noqa: B027 (nothing to close is a fine answer)
        """Let go of files, connections and threads; open watches end. The store is not used afterwards."""


def after(key: str) -> str:
    """Where a scan goes on behind ``key``: no key has a NUL, so none lies between the two."""
    return key + "\x01"


def pages(
    store: Store,
    prefix: str,
    *,
    limit: int = 1000,
    revision: int | None = None,
    steady: bool = False,
    deadline: float | None = None,
) -> Iterator[Page]:
    """Every page of a scan. ``steady``: all as things stood at the first (or at ``revision``); else each as they are."""
    start: str | None = None
    while True:
        page = store.scan(prefix, start=start, limit=limit, revision=revision, deadline=deadline)
        yield page
        if not page.more:
            return
        start = after(page.records[-1].key)
        revision = page.revision if steady else revision


def prefix_end(prefix: str) -> bytes | None:
    """The smallest byte string above every key that begins with ``prefix``; None when there is none."""
    raw = prefix.encode()
    stripped = raw.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def scan_range(prefix: str, start: str | None, limit: int) -> tuple[bytes, bytes]:
    """First key and end (exclusive) of a scan. InvalidOperation unless it is within the contract."""
    if limit < 1:
        raise InvalidOperation(f"limit of {limit} records; at least 1")
    first = max(_encoded(prefix), _encoded(start or ""))
    # No UTF-8 begins with 0xff: it lies above every key.
    return first, prefix_end(prefix) or b"\xff"


def require_history(revision: int, *, compacted: int, current: int) -> None:
    """Compacted unless the store still has, and has reached, ``revision``."""
    if revision < compacted:
        raise Compacted(compacted)
    if revision > current:
        raise Compacted(current)


def check_keys(keys: Sequence[str]) -> None:
    """InvalidOperation unless a get of ``keys`` is within the contract. Drivers call it first."""
    if len(keys) > MAX_OPS:
        raise InvalidOperation(f"{len(keys)} keys in one get; at most {MAX_OPS}")
    for key in keys:
        check_key(key)


def check_ttl(ttl: float) -> None:
    """InvalidOperation unless a lease may last ``ttl`` seconds. Drivers call it first."""
    if not 1 <= ttl <= 86400:
        raise InvalidOperation(f"lease of {ttl} seconds; 1 to 86400")


def check(guards: Sequence[Guard], writes: Sequence[Write]) -> None:
    """InvalidOperation unless a commit is within the contract. Drivers call it first."""
    if len(guards) > MAX_OPS or len(writes) > MAX_OPS:
        raise InvalidOperation(
            f"{len(guards)} guards and {len(writes)} writes in one commit; at most {MAX_OPS} of each"
        )
    seen: set[str] = set()
    size = 0
    for guard in guards:
        check_key(guard.key)
    for write in writes:
        check_key(write.key)
        if write.key in seen:
            raise InvalidOperation(f"key {write.key!r} is written twice in one commit")
        seen.add(write.key)
        size += len(write.key.encode())
        if isinstance(write, Put) and len(write.value) > MAX_VALUE:
            raise InvalidOperation(
                f"value of {write.key!r} has {len(write.value)} bytes; at most {MAX_VALUE}"
            )
        size += len(write.value) if isinstance(write, Put) else 0
    if size > MAX_COMMIT:
        raise InvalidOperation(f"{size} bytes in one commit; at most {MAX_COMMIT}")


def check_key(key: str) -> None:
    """InvalidOperation unless ``key`` is one."""
    if not 1 <= len(_encoded(key)) <= MAX_KEY or "\0" in key:
        raise InvalidOperation(f"key {key!r} must be 1 to {MAX_KEY} bytes without NUL")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidOperation(f"key {text!r} is not valid Unicode") from None
