"""Watches: each has a stream of its own over all keys of the store.

Of all keys, because then every commit moves the watch on, whatever it wrote.
The client's own ``watch`` is not used: it ends for good with the member.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from apisvc import errors
from apisvc.storage import base
from apisvc_etcd3 import leases, members
from apisvc_etcd3.rpc import etcdrpc

LOG = logging.getLogger(__name__)

#: Batches kept for a reader who is slow; then etcd has to wait.
KEPT = 1000


class _Refused(Exception):
    """etcd cancelled the watch."""


class Etcd3Watch(base.Watch):
    """Lives through the loss of members: the next stream begins where the last one ended."""

    def __init__(
        self,
        cluster: members.Members,
        prefix: str,
        after: int,
        over: Callable[["Etcd3Watch"], None],
    ) -> None:
        """``over`` is called by close."""
        self._cluster = cluster
        self._root = cluster.root
        self._prefix = prefix
        self._on_close = over
        self._changed = threading.Condition()
        self._batches: collections.deque[base.Batch] = collections.deque()
        #: What the reader has, and what the stream has brought.
        self._position = self._heard = after
        self._over: Exception | None = None
        self._closed = False
        self._call: Any = None
        threading.Thread(target=self._run, name="etcd3-watch", daemon=True).start()

    def poll(self, timeout: float) -> base.Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._over or self._closed, timeout)
            if self._closed:
                return None
            if self._batches:
                batch = self._batches.popleft()
                self._position = batch.revision
                self._changed.notify_all()
                return batch
            if self._over is not None:
                raise self._over
            return None

    def reaches(self, revision: int, until: float) -> bool:
        """Wait until everything up to ``revision`` has come; False when it did not."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._heard >= revision or self._over or self._closed, until - time.monotonic()
            )

    def forget(self, revision: int) -> None:
        """The store was compacted there by us: a reader who is behind is told so."""
        with self._changed:
            if self._position < revision:
                self._batches.clear()
                self._over = base.Compacted(revision)
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            call = self._call
            self._changed.notify_all()
        if call is not None:
            call.cancel()
        self._on_close(self)

    @property
    def closed(self) -> bool:
        return self._closed

    # The thread

    def _run(self) -> None:
        lost: float | None = None
        while not self._closed and self._over is None:
            address = self._cluster.preferred()
            try:
                for answer in self._stream(address):
                    lost = None
                    self._hear(answer)
                reason: object = "it ended"
            except base.Compacted as gone:
                self._end(gone)
                return
            except grpc.RpcError as error:
                reason = error.details()
            except (_Refused, errors.StoreUnavailable, ValueError, OSError) as error:
                reason = error
            if self._closed:
                return
            LOG.info("etcd's watch at %s was lost and is resumed after %s: %s", address, self._heard, reason)
            self._cluster.forget(address)  # its token may be what is wrong
            self._cluster.prefer_another(address)
            lost = lost or self._cluster.until(None)
            if time.monotonic() >= lost:
                self._end(errors.StoreUnavailable(f"etcd's watch is lost ({reason})."))
                return
            with self._changed:
                self._changed.wait_for(lambda: self._closed, members.PAUSE)

    def _stream(self, address: str) -> Iterator[Any]:
        current = self._cluster.revision()
        if current < self._heard:  # restored from an older state
            raise base.Compacted(current)
        # From what is known already, which is dropped again: so etcd refuses exactly what a compaction took.
        create = etcdrpc.WatchCreateRequest(
            key=self._root, range_end=self._root + b"\xff", start_revision=max(self._heard, 1)
        )
        done = threading.Event()

        def requests() -> Iterator[Any]:
            yield etcdrpc.WatchRequest(create_request=create)
            done.wait()  # the stream lives as long as this generator

        client = self._cluster.client(address)
        call = etcdrpc.WatchStub(client.channel).Watch(requests(), metadata=members.metadata(client))
        with self._changed:
            self._call = call
        try:
            if self._closed:
                call.cancel()
            yield from call
        finally:
            done.set()
            call.cancel()

    def _hear(self, answer: Any) -> None:
        if answer.compact_revision:
            raise base.Compacted(answer.compact_revision)
        if answer.canceled:
            raise _Refused(answer.cancel_reason)
        events = [event for event in answer.events if event.kv.mod_revision > self._heard]
        if not events:
            return
        # NOTE: etcd cuts no revision in two, unless asked for fragments.
        heard = events[-1].kv.mod_revision
        changes = [self._change(event) for event in events]
        # What begins with NUL is the driver's own and only moves the watch on.
        found = [c for c in changes if c.key.startswith(self._prefix) and not c.key.startswith("\0")]
        with self._changed:
            self._changed.wait_for(lambda: len(self._batches) < KEPT or self._closed or self._over)
            self._heard = heard
            if self._over is None:
                self._batches.append(base.Batch(heard, found))
            self._changed.notify_all()

    def _change(self, event: Any) -> base.Change:
        kv = event.kv
        return base.Change(
            kv.key[len(self._root) :].decode(),
            None if event.type else kv.value,
            kv.mod_revision,
            created=kv.create_revision,
            lease=leases.name(kv.lease),
        )

    def _end(self, reason: Exception) -> None:
        with self._changed:
            self._over = self._over or reason
            self._changed.notify_all()


def compacted(cluster: members.Members, deadline: float | None) -> int:
    """The revision from which history is kept; only a watch of what is gone tells it."""
    create = etcdrpc.WatchRequest(
        create_request=etcdrpc.WatchCreateRequest(key=cluster.nothing, start_revision=1)
    )

    def ask(client: Any) -> Callable[..., Any]:
        stream = etcdrpc.WatchStub(client.channel).Watch
        return leases.one(stream, lambda answer: answer.compact_revision or not answer.created)

    return int(cluster.call(ask, create, deadline=deadline).compact_revision)
