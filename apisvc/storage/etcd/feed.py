"""What happens in the store, as etcd tells it: one stream for many watches.

A stream covers all our keys, also when a watch wants few of them. So each
batch says for every watch how far it has come, which etcd does not say by
itself in any way that can be relied on: a progress notification of 3.4 may
overtake the events before it.
"""

import bisect
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import client as etcd_client
from apisvc.storage.etcd import connections, lease, protocol

LOG = logging.getLogger(__name__)

#: Bytes of changes that are kept for watches that lag behind.
KEPT = 16 * 1024 * 1024
#: Seconds between two attempts to open a lost stream.
PAUSE = 0.1


class Feed:
    """The changes after a revision, in order; a thread keeps them coming.

    It lives through the loss of members: it opens the next stream where the
    last one ended, so nothing is missed and nothing is twice.
    """

    def __init__(self, client: etcd_client.Client, prefix: bytes, after: int, *, patient: bool) -> None:
        """``patient``: wait for the reader when he lags far behind, instead of dropping the oldest changes."""
        self._client = client
        self._prefix = prefix
        self._patient = patient
        self.changed = threading.Condition()
        #: All changes after ``floor`` up to ``position`` are here.
        self.floor = self.position = after
        self._log: list[base.Change] = []
        self._size = 0
        #: Why it has ended.
        self.over: Exception | None = None
        #: Whether etcd has confirmed the stream that is open now.
        self.live = False
        self._closed = False
        self._call: Any = None
        self._endpoint: connections.Endpoint | None = None
        threading.Thread(target=self._run, name="etcd-feed", daemon=True).start()

    # For those who watch; all within ``changed``

    def take(self, after: int, prefix: str) -> base.Batch:
        """The changes under ``prefix`` after ``after``, which is neither before the floor nor at the end."""
        index = bisect.bisect_right(self._log, after, key=_revision)
        batch = base.Batch(
            self.position, [change for change in self._log[index:] if change.key.startswith(prefix)]
        )
        if self._patient:
            self._drop(self.position)
        return batch

    def forget(self, revision: int) -> None:
        """Compacted there: who is behind must hear of it from etcd."""
        with self.changed:
            self._drop(min(revision, self.position))
            self.changed.notify_all()

    def reach(self, revision: int, until: float) -> bool:
        """Wait until everything up to ``revision`` has come; False when it did not."""
        with self.changed:
            return self.changed.wait_for(
                lambda: self.position >= revision or self.over is not None, until - time.monotonic()
            )

    def leave(self, preferred: connections.Endpoint) -> None:
        """It is late: move to the endpoint that works, if it is another."""
        call = self._call
        if self._endpoint is not preferred and call is not None:
            call.cancel()

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.over = self.over or errors.StoreUnavailable("The watch is closed.")
            call = self._call
            self.changed.notify_all()
        if call is not None:
            call.cancel()

    # The thread

    def _run(self) -> None:
        lost_since: float | None = None
        while not self._closed:
            self._endpoint = None
            try:
                for answer in self._open():
                    lost_since = None
                    self._hear(answer)
                reason = "the stream ended"
            except base.Compacted as gone:
                self._end(gone)
                return
            except grpc.RpcError as error:
                reason = etcd_client.meaning(error)[1]
            except (_Refused, errors.StoreUnavailable, ValueError) as error:
                reason = str(error)
            finally:
                self.live = False
            if self._closed:
                return
            lost_since = lost_since or time.monotonic()
            LOG.info("etcd's watch was lost and is resumed after %s: %s", self.position, reason)
            if self._endpoint is not None:
                self._client.here.prefer_another(self._endpoint)
                self._client.here.forget_token()
            if time.monotonic() - lost_since > self._client.conf.timeout:
                self._end(errors.StoreUnavailable(f"etcd's watch is lost ({reason})."))
                return
            with self.changed:
                self.changed.wait_for(lambda: self._closed, PAUSE)

    def _open(self) -> Iterator[Any]:
        etcd = protocol.load()
        current = self._client.revision(None)  # finds a member that answers, too
        if current < self.position:  # restored from an older state
            raise base.Compacted(current)
        # From the position itself, not after it: so etcd refuses exactly what lies before a compaction,
        # which may have taken a delete of the compacted revision. What is known is dropped again.
        create = etcd.WatchCreateRequest(
            key=self._prefix, range_end=self._prefix + b"\xff", start_revision=max(self.position, 1)
        )
        over = threading.Event()

        def requests() -> Iterator[Any]:
            yield etcd.WatchRequest(create_request=create)
            over.wait()  # the stream lives as long as this generator does

        self._endpoint = endpoint = self._client.here.preferred()
        call = self._client.stream(endpoint, "Watch/Watch", requests(), until=None)
        with self.changed:
            self._call = call
        try:
            if self._closed:
                call.cancel()
            yield from call
        finally:
            over.set()
            call.cancel()

    def _hear(self, answer: Any) -> None:
        if answer.compact_revision:
            raise base.Compacted(answer.compact_revision)
        if answer.canceled:
            raise _Refused(answer.cancel_reason)
        if answer.created:
            self.live = True
        # NOTE: etcd never cuts a revision in two, unless asked for fragments.
        known = position = self.position
        skip = len(self._prefix)
        heard: list[base.Change] = []
        # PERF: each field is a look into protobuf, and every process does this for each write of all of them.
        for event in answer.events:
            pair = event.kv
            position = pair.mod_revision
            if position <= known:
                continue
            key = pair.key[skip:].decode()
            if key.startswith("\0"):
                continue  # the driver's own keys only move the position
            value = None if event.type else pair.value
            heard.append(base.Change(key, value, position, pair.create_revision, lease.name(pair.lease)))
        if position <= known:
            return
        with self.changed:
            self._log += heard
            self._size += sum(map(_size, heard))
            self.position = position
            self.changed.notify_all()
            if self._patient:
                self.changed.wait_for(lambda: self._size <= KEPT or self._closed)
            elif self._size > KEPT and self._log:
                self._drop(self._log[len(self._log) // 2].revision)

    def _drop(self, revision: int) -> None:
        if revision <= self.floor:
            return
        index = bisect.bisect_right(self._log, revision, key=_revision)
        self._size -= sum(map(_size, self._log[:index]))
        del self._log[:index]
        self.floor = revision
        self.changed.notify_all()

    def _end(self, reason: Exception) -> None:
        with self.changed:
            self.over = reason
            self.changed.notify_all()


class _Refused(Exception):
    """etcd cancelled the watch by itself (a bad token says so in this way)."""


def _revision(change: base.Change) -> int:
    return change.revision


def _size(change: base.Change) -> int:
    return len(change.key) + len(change.value or b"") + 100
