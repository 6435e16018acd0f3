"""Watches: each reads the feed of the process, or one of its own while it lies far behind."""

import threading
import time

from apisvc.storage import base
from apisvc.storage.etcd import client as etcd_client
from apisvc.storage.etcd import feed


class Feeds:
    """The feed that the watches of one process share. It runs while there is a watch."""

    def __init__(self, client: etcd_client.Client, prefix: bytes) -> None:
        self._client = client
        self._prefix = prefix
        self._lock = threading.Lock()
        self._shared: feed.Feed | None = None
        self._watches: set[EtcdWatch] = set()

    @property
    def shared(self) -> feed.Feed | None:
        """The feed, if it runs."""
        found = self._shared
        return found if found is not None and found.over is None else None

    def join(self, watch: "EtcdWatch") -> None:
        with self._lock:
            self._watches.add(watch)

    def part(self, watch: "EtcdWatch") -> None:
        with self._lock:
            self._watches.discard(watch)
            if not self._watches and self._shared is not None:
                self._shared.close()
                self._shared = None

    def source(self, after: int) -> feed.Feed:
        """The shared feed, when it reaches back to ``after``; else one that does."""
        with self._lock:
            if self.shared is None:
                self._shared = feed.Feed(self._client, self._prefix, after, patient=False)
            shared = self._shared
        assert shared is not None
        if after >= shared.floor:
            return shared
        return feed.Feed(self._client, self._prefix, after, patient=True)

    def better(self, source: feed.Feed, after: int) -> feed.Feed:
        """``source``, or what a watch that has come to ``after`` reads from now on."""
        shared = self.shared
        if after >= source.floor:
            joins = shared is not None and shared is not source and after >= shared.floor
            # A compaction ended it, which takes nothing from this watch.
            unhurt = isinstance(source.over, base.Compacted) and after >= source.over.revision
            if not joins and not unhurt:
                return source
        found = self.source(after)
        if source is not shared:
            source.close()
        return found

    def close(self) -> None:
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            watch.close()


class EtcdWatch(base.Watch):
    """Changes under a prefix. One thread polls it; any thread may close it."""

    def __init__(self, feeds: Feeds, prefix: str, after: int) -> None:
        self._feeds = feeds
        self._prefix = prefix
        self._after = after
        self._closed = False
        feeds.join(self)
        self._source = feeds.source(after)

    def poll(self, timeout: float) -> base.Batch | None:
        end = time.monotonic() + timeout
        while not self._closed:
            source = self._source = self._feeds.better(self._source, self._after)
            with source.changed:
                if source.position > self._after:
                    batch = source.take(self._after, self._prefix)
                    self._after = batch.revision
                    return batch
                if source.over is not None and not self._closed:
                    raise source.over
                left = end - time.monotonic()
                if left <= 0 or self._closed:
                    return None
                source.changed.wait(left)
        return None

    def close(self) -> None:
        self._closed = True
        source = self._source
        self._feeds.part(self)
        if source is not self._feeds.shared:
            source.close()
        with source.changed:
            source.changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed
