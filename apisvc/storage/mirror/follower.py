"""Keeps a copy of the store: loads it at one revision, and follows by watch."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence

from apisvc import errors, turns
from apisvc.storage import base, metrics
from apisvc.storage.mirror import gate, records

LOG = logging.getLogger(__name__)

#: Records in one call of a load: the first, and the most. Each page costs etcd a walk over all keys that follow in
#: its range, so few large ones are the quicker way; but no larger than about so many bytes.
PAGES = (1000, 20_000)
BYTES = 8 * 1024 * 1024
#: Seconds after which the follower makes sure by itself that it is still current, where no reader does.
QUIET = 2.0
#: So often it asks, and nothing comes, until it loads anew what the watch does not bring.
BEHIND = 3
#: Seconds between attempts while the store is away: the first, and the longest.
PAUSES = (0.05, 1.0)
#: Seconds between two times that the figures are told.
TELL = 1.0


class Follower:
    """The copy of one process. Starts with the first read; not to be used across a fork."""

    def __init__(self, store: base.Store, left_out: Sequence[str], timeout: float) -> None:
        self._store = store
        #: Prefixes of keys that the copy has not.
        self.left_out = tuple(left_out)
        self._timeout = timeout
        self._gate = gate.Gate(store)
        #: Guards the records and how new they are; ``changed`` is told when they are newer.
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.records = records.Records()
        #: Up to which commit the copy is complete.
        self.revision = 0
        #: An instant at which it had all that was committed; None: never yet.
        self.complete_at: float | None = None
        #: A revision that the store said, and when it was asked: once the copy is there, it had all of then.
        self._asked: tuple[int, float] | None = None
        self._behind = 0
        self._loaded = False
        self._trouble = "it is not loaded yet"
        self._told_at = 0.0
        self._closed = False
        self._watch: base.Watch | None = None
        self._thread: threading.Thread | None = None

    def covers(self, prefix: str) -> bool:
        """Whether everything under ``prefix`` is in the copy."""
        # NOTE: "event" is not covered when "events/" is left out.
        return not any(prefix.startswith(left) or left.startswith(prefix) for left in self.left_out)

    def has(self, revision: int | None) -> bool:
        """Whether the copy has come to ``revision``; None is nowhere."""
        return revision is not None and self._loaded and self.revision >= revision

    def current(self, until: float) -> int:
        """The store's revision, which the copy has reached.

        :raises StoreUnavailable: the store does not say it, or the copy did not come so far in time.
        """
        self._start()
        revision, begun = turns.asked() or self._ask(until)
        self.reach(revision, until)
        # NOTE: Without the lock: of two threads the one may undo what the other says, which makes it look older.
        if self.complete_at is None or self.complete_at < begun:
            self.complete_at = begun
        return revision

    def _ask(self, until: float) -> turns.Asked:
        begun = time.monotonic()
        return self._gate.revision(until), begun

    def reach(self, revision: int, until: float) -> None:
        """Wait until the copy has come to ``revision``."""
        if self.has(revision):
            return  # PERF: nearly always, and without the lock
        with turns.waiting(), self.changed:
            if not self.changed.wait_for(
                lambda: self.has(revision) or self._closed,
                max(until - time.monotonic(), 0.0),
            ):
                raise errors.StoreUnavailable(
                    f"The copy of the store did not catch up in time ({self._trouble or 'it is behind'})."
                )

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        if self._watch is not None:
            self._watch.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(self._timeout)

    # The thread

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self.changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        pause = PAUSES[0]
        while not self._closed:
            try:
                if not self._loaded:
                    self._load()
                for _ in self._batches():
                    pause = PAUSES[0]
                return
            except base.Compacted:
                LOG.info("the mirror fell behind a compaction and loads anew")
                self._loaded = False
            except _Behind:
                # As on an etcd without space, where others wrote last and no beat can be put.
                LOG.warning("the watch of the store does not bring all that is in it; the mirror loads anew")
                self._loaded = False
            except errors.StoreUnavailable as error:
                self._trouble = error.detail
                if not self._closed:
                    LOG.warning("the mirror lost the store at revision %s: %s", self.revision, error.detail)
            except Exception:
                # Without this thread every read would wait in vain.
                LOG.exception("the mirror failed and loads anew")
                self._trouble = "it met an error, which is in the log"
                self._loaded = False
            self._tell()
            with self.changed:
                self.changed.wait_for(lambda: self._closed, pause)
            pause = min(pause * 2, PAUSES[1])

    def _batches(self) -> Iterator[None]:
        """Apply what the watch brings, until it ends."""
        with self._store.watch("", after=self.revision, deadline=self._deadline()) as watch:
            self._watch = watch
            self._trouble = ""
            while not self._closed and not watch.closed:
                batch = watch.poll(QUIET)
                if batch is not None:
                    self._behind = 0
                    self._apply(batch)
                if not self._closed and time.monotonic() >= (self.complete_at or 0.0) + QUIET:
                    self._confirm(anew=batch is None)
                self._tell()
                yield

    def _tell(self) -> None:
        """What ``/metrics`` says of this copy; not with every change, of which there may be thousands a second."""
        now = time.monotonic()
        if not self._loaded or now < self._told_at + TELL:
            return
        self._told_at = now
        figures = metrics.mirror()
        figures.revision.set(self.revision)
        figures.records.set(len(self.records))
        figures.bytes.set(self.records.bytes)
        figures.age.set(now - self.complete_at if self.complete_at else 0.0)

    def _confirm(self, anew: bool) -> None:
        """Find out whether this is all there is; ``anew``: though that was asked, as nothing came since."""
        if self._asked is None or anew:
            begun = time.monotonic()
            self._asked = (self._gate.revision(self._deadline()), begun)
        with self.changed:
            if self.revision >= self._asked[0]:
                self.complete_at = max(self.complete_at or 0.0, self._asked[1])
                self._asked, self._behind = None, 0
                return
        self._behind += anew
        if self._behind >= BEHIND:
            raise _Behind()

    def _load(self) -> None:
        """Take a snapshot of everything that is not left out, at one revision."""
        revision: int | None = None
        found: list[base.Record] = []
        # Within a large folder of keys (``instances/``) the pages end with it.
        folder = ""
        start: str | None = None
        limit, most = PAGES  # grows with what is seen
        while not self._closed:
            try:
                page = self._store.scan(
                    folder, start=start, limit=limit, revision=revision, deadline=self._deadline()
                )
            except errors.StoreUnavailable:
                if limit == PAGES[0]:
                    raise
                limit = most = max(limit // 4, PAGES[0])  # maybe it took longer than a member is waited for
                continue
            revision = page.revision
            found += [record for record in page.records if not record.key.startswith(self.left_out)]
            if page.more:
                start, folder = self._after(page.records[-1].key)
                limit = min(_page_of(page.records), most)
            elif folder:
                start, folder = _end(folder), ""
                limit = PAGES[0]
            else:
                break
        else:
            return
        loaded = records.Records(found)
        with self.changed:
            self.records, self.revision = loaded, revision
            self._loaded, self._trouble, self._asked, self._behind = True, "", None, 0
            self.changed.notify_all()
        LOG.info("the mirror has %d records at revision %d", len(loaded), revision)

    def _after(self, key: str) -> tuple[str, str]:
        """The first key that the next page may begin with, and the folder in which it ends."""
        for left in self.left_out:
            if key.startswith(left):
                return _end(left), ""
        top, slash, _ = key.partition("/")
        return base.after(key), top + slash if slash else ""

    def _apply(self, batch: base.Batch) -> None:
        with self.changed:
            for change in batch.changes:
                if not change.key.startswith(self.left_out):
                    self.records.apply(change)
            self.revision = batch.revision
            self.changed.notify_all()

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout


class _Behind(Exception):
    """The store has come further than its watch says."""


def _end(prefix: str) -> str:
    """The first key after all under ``prefix``."""
    end = base.prefix_end(prefix)
    assert end is not None, "UTF-8 has no byte 0xff"
    return end.decode()


def _page_of(records_seen: Sequence[base.Record]) -> int:
    """How many records of the size of these are a page."""
    size = sum(len(record.key) + len(record.value) for record in records_seen)
    return max(BYTES * len(records_seen) // max(size, 1), PAGES[0])
