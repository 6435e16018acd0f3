"""The ``etcd`` store: the contract on etcd 3.4 and newer.

The revision is etcd's own. Where others write to the same etcd too, it may be
ahead of our last commit, of which a watch would never hear; then a key of the
driver's own, the *beat*, is written, so that watches reach every revision that
:meth:`EtcdStore.revision` has answered.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from apisvc import errors
from apisvc.storage import base, forks
from apisvc.storage.etcd import client as etcd_client
from apisvc.storage.etcd import lease, options, protocol, watch

#: etcd takes 1.5 MiB; some is left for the wrapping.
MAX_REQUEST = 1536 * 1024 - 4096
#: Seconds that a revision of ours may need to reach the watches, before it is taken for another's.
PATIENCE = 0.5
#: The same where others do write.
HASTE = 0.005
#: Records of a page for which a member is waited for twice as long.
LARGE = 5000
_COMPACTED = "has been compacted"
_FUTURE = "is a future revision"


class EtcdStore(base.Store):
    contract = base.CONTRACT
    remote = True

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        super().__init__(conf)
        options.check(conf)
        self.client = etcd_client.Client(conf)
        self.prefix = self.client.prefix
        self._feeds = forks.PerProcess(lambda: watch.Feeds(self.client, self.prefix))
        self._patience = PATIENCE

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return options.OPTS

    def close(self) -> None:
        if feeds := self._feeds.pop():
            feeds.close()
        self.client.close()

    # Reads

    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        base.check_keys(keys)
        if not keys:
            return base.Snapshot(self.client.revision(deadline), {})
        etcd = protocol.load()
        wanted = [etcd.RangeRequest(key=self._key(key)) for key in dict.fromkeys(keys)]
        if len(wanted) == 1:  # PERF: a plain Range costs half of a transaction.
            answer = self._read("KV/Range", wanted[0], deadline)
            ranges = [answer]
        else:
            operations = [etcd.RequestOp(request_range=request) for request in wanted]
            try:
                answer = self._read(
                    "KV/Txn", etcd.TxnRequest(success=operations), deadline, expect=etcd_client.NO_SPACE
                )
                ranges = [response.response_range for response in answer.responses]
            except etcd_client.CallFailed:  # any transaction is refused then, even one that only reads
                ranges = self._one_by_one(wanted, self.client.until(deadline))
                answer = ranges[0]
        records = [self._record(kv) for found in ranges for kv in found.kvs]
        return base.Snapshot(answer.header.revision, {record.key: record for record in records})

    def _one_by_one(self, wanted: Sequence[Any], until: float) -> list[Any]:
        """The answers of several ranges, all at the revision of the first."""
        answers: list[Any] = []
        for request in wanted:
            if answers:
                request.revision = answers[0].header.revision
            answers.append(self._read("KV/Range", request, until))
        return answers

    def scan(
        self,
        prefix: str,
        *,
        start: str | None = None,
        limit: int = 1000,
        revision: int | None = None,
        deadline: float | None = None,
    ) -> base.Page:
        first, end = base.scan_range(prefix, start, limit)
        request = protocol.load().RangeRequest(
            # Without a key of the contract the range would begin with the driver's own.
            key=self.prefix + (first or b"\1"),
            range_end=self.prefix + end,
            limit=limit,
            # etcd takes 0 for the present; at 1 there is nothing yet.
            revision=0 if revision is None else max(revision, 1),
        )
        if first >= end:  # etcd has no range that is empty
            request.key, request.range_end = self.prefix + b"\0", b""
        try:
            answer = self._read("KV/Range", request, deadline, expect="revision", patience=1 + limit / LARGE)
        except etcd_client.CallFailed as error:
            if _FUTURE in error.details:
                raise base.Compacted(self.client.revision(deadline)) from None
            if _COMPACTED in error.details:
                raise base.Compacted(self._compacted(deadline)) from None
            raise etcd_client.unavailable(error.code, error.details) from None
        at = answer.header.revision if revision is None else revision
        return base.Page(at, [self._record(kv) for kv in answer.kvs], answer.more)

    def revision(self, *, deadline: float | None = None) -> int:
        until = self.client.until(deadline)
        revision = self.client.revision(until)
        feed = self._feeds.get().shared
        if feed is None or feed.position >= revision:
            return revision
        if feed.reach(revision, min(until, time.monotonic() + self._patience)):
            self._patience = min(self._patience * 2, PATIENCE)
        else:
            if feed.live:  # it would have come by now, were it ours
                self._patience = max(self._patience / 4, HASTE)
            feed.leave(self.client.here.preferred())
            # When it cannot be written, those who wait for a watch will say so; the revision is right.
            with contextlib.suppress(errors.StoreUnavailable):
                self._beat(until)
        return revision

    def _beat(self, deadline: float) -> None:
        etcd = protocol.load()
        put = etcd.RequestOp(request_put=etcd.PutRequest(key=self.prefix + etcd_client.BEAT))
        self._read("KV/Txn", etcd.TxnRequest(success=[put]), deadline)

    def ping(self, *, deadline: float | None = None) -> None:
        etcd = protocol.load()
        # Goes the way of a write, and is refused like one, but its condition always holds: nothing is put.
        always = etcd.Compare(
            key=self.prefix + etcd_client.BEAT, target="VERSION", result="GREATER", version=-1
        )
        put = etcd.RequestOp(request_put=etcd.PutRequest(key=self.prefix + etcd_client.BEAT))
        self._read("KV/Txn", etcd.TxnRequest(compare=[always], failure=[put]), deadline)

    def _read(
        self,
        name: str,
        request: Any,
        deadline: float | None,
        expect: str | None = None,
        patience: float = 1.0,
    ) -> Any:
        return self.client.call(
            name, request, deadline=deadline, repeatable=True, expect=expect, patience=patience
        )

    # Writes

    def commit(
        self, guards: Sequence[base.Guard], writes: Sequence[base.Write], *, deadline: float | None = None
    ) -> int:
        base.check(guards, writes)
        etcd = protocol.load()
        request = etcd.TxnRequest(
            compare=[self._compare(etcd, guard) for guard in guards],
            success=[self._operation(etcd, write) for write in writes],
        )
        if request.ByteSize() > MAX_REQUEST:
            raise base.InvalidOperation(
                f"a commit of {request.ByteSize()} bytes; etcd takes at most {MAX_REQUEST}"
            )
        try:
            answer = self.client.call(
                "KV/Txn", request, deadline=deadline, repeatable=not writes, expect="lease not found"
            )
        except etcd_client.CallFailed as error:
            raise base.LeaseLost(error.details) from None
        if not answer.succeeded:
            raise base.Conflict(", ".join(guard.key for guard in guards))
        return int(answer.header.revision)

    def _operation(self, etcd: protocol.Protocol, write: base.Write) -> Any:
        if isinstance(write, base.Delete):
            return etcd.RequestOp(request_delete_range=etcd.DeleteRangeRequest(key=self._key(write.key)))
        bound = lease.number(write.lease) if write.lease is not None else 0
        return etcd.RequestOp(
            request_put=etcd.PutRequest(key=self._key(write.key), value=write.value, lease=bound)
        )

    def _compare(self, etcd: protocol.Protocol, guard: base.Guard) -> Any:
        key = self._key(guard.key)
        if isinstance(guard, base.AtRevision):
            if guard.revision < 1:  # for etcd a missing key is at revision 0; for the contract it is at none
                return etcd.Compare(key=key, target="VERSION", result="LESS", version=0)
            return etcd.Compare(key=key, target="MOD", result="EQUAL", mod_revision=guard.revision)
        result = "EQUAL" if isinstance(guard, base.Absent) else "GREATER"
        return etcd.Compare(key=key, target="VERSION", result=result, version=0)

    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        until = self.client.until(deadline)
        revision = min(revision, self.client.revision(until))
        if revision < 1:
            return
        request = protocol.load().CompactionRequest(revision=revision)
        try:
            self._read("KV/Compact", request, until, expect=_COMPACTED)
        except etcd_client.CallFailed:
            return  # somebody has already compacted beyond it: as good
        finally:
            if feed := self._feeds.get().shared:
                feed.forget(revision)

    # Watches and leases

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> base.Watch:
        base.scan_range(prefix, None, 1)
        feeds = self._feeds.get()
        feed = feeds.shared
        if feed is None or after > feed.position:
            current = self.client.revision(deadline)
            if after > current:
                raise base.Compacted(current)
        return watch.EtcdWatch(feeds, prefix, after)

    def lease(self, ttl: float, *, deadline: float | None = None) -> base.Lease:
        base.check_ttl(ttl)
        return lease.grant(self.client, ttl, deadline)

    def _compacted(self, deadline: float | None) -> int:
        """The oldest revision that can still be watched after; only a refused watch says it."""
        with watch.EtcdWatch(watch.Feeds(self.client, self.prefix), "", 0) as probe:
            try:
                probe.poll(self.client.until(deadline) - time.monotonic())
            except base.Compacted as error:
                return error.revision
        return 0

    # Names

    def _key(self, key: str) -> bytes:
        return self.prefix + key.encode()

    def _record(self, kv: Any) -> base.Record:
        key = kv.key[len(self.prefix) :].decode()
        return base.Record(key, kv.value, kv.mod_revision, kv.create_revision, lease.name(kv.lease))
