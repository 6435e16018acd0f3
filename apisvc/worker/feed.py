"""Following a prefix of the store: all of it once, then every change, for ever."""

import logging
import random
import threading
from collections.abc import Callable, Mapping

from apisvc import errors
from apisvc.storage import base as storage

LOG = logging.getLogger(__name__)

PAGE = 1000
#: Seconds before the store is asked again after it failed: the first and the longest pause.
BACKOFF = (0.05, 5.0)


class Follower:
    """A thread that keeps somebody informed of a prefix.

    ``on_list(records)`` gets everything there is, at the start and after each
    gap; ``on_change(change)`` what follows. Both are called from one thread. A
    record that is missing from a list is gone.
    """

    def __init__(
        self,
        store: storage.Store,
        prefix: str,
        on_list: Callable[[Mapping[str, storage.Record]], None],
        on_change: Callable[[storage.Change], None],
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._on_list = on_list
        self._on_change = on_change
        self._stop = threading.Event()
        self._listed = threading.Event()
        self._watch: storage.Watch | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"follow {prefix}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_listed(self, timeout: float) -> bool:
        """Wait until the first list was handed over."""
        return self._listed.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        self._stop.set()
        with self._lock:
            if self._watch is not None:
                self._watch.close()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = BACKOFF[0]
        while not self._stop.is_set():
            try:
                revision = self._list()
                pause = BACKOFF[0]
                self._follow(revision)
            except storage.Compacted:
                LOG.info("Watch of %s fell behind a compaction; listing again.", self._prefix)
            except errors.StoreUnavailable as error:
                LOG.warning("Watch of %s is cut: %s", self._prefix, error.detail)
                self._stop.wait(random.uniform(pause / 2, pause))
                pause = min(pause * 2, BACKOFF[1])
            except Exception:
                LOG.exception("Watch of %s failed; listing again.", self._prefix)
                self._stop.wait(BACKOFF[1])

    def _list(self) -> int:
        records: dict[str, storage.Record] = {}
        revision = 0
        for page in storage.pages(self._store, self._prefix, limit=PAGE, steady=True):
            revision = page.revision
            records.update((record.key, record) for record in page.records)
        self._on_list(records)
        self._listed.set()
        return revision

    def _follow(self, revision: int) -> None:
        watch = self._store.watch(self._prefix, after=revision)
        with self._lock:
            self._watch = watch
        with watch:
            if self._stop.is_set():
                return
            for batch in watch:
                for change in batch.changes:
                    self._on_change(change)
