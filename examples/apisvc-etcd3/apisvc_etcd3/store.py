"""The ``etcd3`` store: the contract on etcd 3.4 and newer, by the PyPI package ``etcd3``.

Keys lie as apisvc's own ``etcd`` driver lays them, so that a deployment can go
from one to the other by its configuration alone.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from apisvc.storage import base
from apisvc_etcd3 import leases, members, watches
from apisvc_etcd3.rpc import etcdrpc

#: etcd takes 1.5 MiB; some is left for the wrapping.
MAX_REQUEST = 1536 * 1024 - 4096
#: A key of the driver's own; none of the contract has a NUL.
BEAT = b"\0beat"
#: Seconds that a revision of ours may need to reach the watches, before it is taken for somebody else's.
PATIENCE = 0.1


class Etcd3Store(base.Store):
    contract = "1.0"
    remote = True

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        super().__init__(conf)
        _check(conf)
        self._cluster = members.Members(conf)
        self._root = self._cluster.root
        self._watches: set[watches.Etcd3Watch] = set()
        self._lock = threading.Lock()

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return [
            cfg.ListOpt(
                "endpoints",
                default=["127.0.0.1:2379"],
                help="HOST:PORT of each member; when one does not answer, the next is asked.",
            ),
            cfg.StrOpt(
                "prefix", default="/apisvc", help="All keys are below it. Each deployment needs its own."
            ),
            cfg.StrOpt("ca_cert", help="Certificates of the members' authority (PEM file); switches TLS on."),
            cfg.StrOpt("cert_cert", help="Our own certificate, where etcd asks for one (PEM file)."),
            cfg.StrOpt("cert_key", help="The key of cert_cert (PEM file)."),
            cfg.StrOpt("user", help="User, where etcd's authentication is enabled; needs password."),
            cfg.StrOpt("password", secret=True, help="Password of the user."),
            cfg.FloatOpt("timeout", default=10.0, min=0.1, help="Seconds for a call without a deadline."),
            cfg.FloatOpt(
                "attempt_timeout",
                default=2.0,
                min=0.1,
                help="Seconds for one member, before another is asked.",
            ),
        ]

    def close(self) -> None:
        for watch in self._opened():
            watch.close()
        self._cluster.close()

    # Reads

    def get(self, keys: Sequence[str], *, deadline: float | None = None) -> base.Snapshot:
        base.check_keys(keys)
        ranges = [
            etcdrpc.RequestOp(request_range=etcdrpc.RangeRequest(key=self._key(key)))
            for key in dict.fromkeys(keys)
        ]
        answer = self._cluster.call(_txn, etcdrpc.TxnRequest(success=ranges), deadline=deadline)
        found = [self._record(kv) for response in answer.responses for kv in response.response_range.kvs]
        return base.Snapshot(answer.header.revision, {record.key: record for record in found})

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
        if first >= end:
            end = first  # no key lies there; etcd answers with none
        request = etcdrpc.RangeRequest(
            # Without a key of the contract it would begin with those that begin with NUL.
            key=self._root + (first or b"\1"),
            range_end=self._root + end,
            limit=limit,
            # etcd takes 0 for the present; at 1 there is nothing yet.
            revision=0 if revision is None else max(revision, 1),
        )
        try:
            answer = self._cluster.call(_range, request, deadline=deadline, expect="required revision")
        except members.Refused as error:
            if "future" in str(error):
                raise base.Compacted(self._cluster.revision(deadline)) from None
            raise base.Compacted(watches.compacted(self._cluster, deadline)) from None
        at = answer.header.revision if revision is None else revision
        return base.Page(at, [self._record(kv) for kv in answer.kvs], answer.more)

    def revision(self, *, deadline: float | None = None) -> int:
        until = self._cluster.until(deadline)
        revision = self._cluster.revision(until)
        # Watches tell of our own keys. Where others write to the same etcd, they would never come so far.
        soon = min(until, time.monotonic() + PATIENCE)
        if not all(watch.reaches(revision, soon) for watch in self._opened()):
            put = etcdrpc.RequestOp(request_put=etcdrpc.PutRequest(key=self._root + BEAT))
            self._cluster.call(_txn, etcdrpc.TxnRequest(success=[put]), deadline=until)
        return revision

    def ping(self, *, deadline: float | None = None) -> None:
        # Goes the way of a write and is refused like one, but what it asks never is: nothing is put.
        never = etcdrpc.Compare(key=self._cluster.nothing, target="VERSION", result="LESS", version=0)
        put = etcdrpc.RequestOp(request_put=etcdrpc.PutRequest(key=self._cluster.nothing))
        self._cluster.call(_txn, etcdrpc.TxnRequest(compare=[never], success=[put]), deadline=deadline)

    # Writes

    def commit(
        self, guards: Sequence[base.Guard], writes: Sequence[base.Write], *, deadline: float | None = None
    ) -> int:
        base.check(guards, writes)
        request = etcdrpc.TxnRequest(
            compare=[self._compare(guard) for guard in guards],
            success=[self._operation(write) for write in writes],
        )
        if request.ByteSize() > MAX_REQUEST:
            raise base.InvalidOperation(
                f"a commit of {request.ByteSize()} bytes; etcd takes at most {MAX_REQUEST}"
            )
        try:
            answer = self._cluster.call(
                _txn, request, deadline=deadline, repeatable=not writes, expect="lease not found"
            )
        except members.Refused as error:
            raise base.LeaseLost(str(error)) from None
        if not answer.succeeded:
            raise base.Conflict(", ".join(guard.key for guard in guards))
        return int(answer.header.revision)

    def _operation(self, write: base.Write) -> Any:
        key = self._key(write.key)
        if isinstance(write, base.Delete):
            return etcdrpc.RequestOp(request_delete_range=etcdrpc.DeleteRangeRequest(key=key))
        put = etcdrpc.PutRequest(key=key, value=write.value, lease=leases.number(write.lease))
        return etcdrpc.RequestOp(request_put=put)

    def _compare(self, guard: base.Guard) -> Any:
        key = self._key(guard.key)
        if isinstance(guard, base.Absent):
            return etcdrpc.Compare(key=key, target="VERSION", result="EQUAL", version=0)
        if isinstance(guard, base.Present):
            return etcdrpc.Compare(key=key, target="VERSION", result="GREATER", version=0)
        if guard.revision < 1:  # for etcd a missing key is at revision 0; for the contract it is at none
            return etcdrpc.Compare(key=key, target="VERSION", result="LESS", version=0)
        return etcdrpc.Compare(key=key, target="MOD", result="EQUAL", mod_revision=guard.revision)

    def compact(self, revision: int, *, deadline: float | None = None) -> None:
        until = self._cluster.until(deadline)
        revision = min(revision, self._cluster.revision(until))
        if revision < 1:
            return
        request = etcdrpc.CompactionRequest(revision=revision)
        try:
            self._cluster.call(
                lambda client: client.kvstub.Compact, request, deadline=until, expect="has been compacted"
            )
        except members.Refused:
            return  # somebody has compacted beyond it: as good
        for watch in self._opened():
            watch.forget(revision)

    # Watches and leases

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> base.Watch:
        base.scan_range(prefix, None, 1)
        current = self._cluster.revision(deadline)
        if after > current:
            raise base.Compacted(current)
        with self._lock:
            made = watches.Etcd3Watch(self._cluster, prefix, after, self._watches.discard)
            self._watches.add(made)
        return made

    def _opened(self) -> list[watches.Etcd3Watch]:
        with self._lock:
            return list(self._watches)

    def lease(self, ttl: float, *, deadline: float | None = None) -> base.Lease:
        return leases.grant(self._cluster, ttl, deadline)

    # Names

    def _key(self, key: str) -> bytes:
        return self._root + key.encode()

    def _record(self, kv: Any) -> base.Record:
        key = kv.key[len(self._root) :].decode()
        return base.Record(key, kv.value, kv.mod_revision, kv.create_revision, leases.name(kv.lease))


def _check(conf: cfg.ConfigOpts.GroupAttr) -> None:
    """What cannot be right is said before anything starts."""
    for endpoint in conf.endpoints or [""]:
        if not endpoint.rpartition(":")[2].isdecimal():
            raise ValueError(f"endpoints: {endpoint!r} is not HOST:PORT")
    if bool(conf.cert_cert) != bool(conf.cert_key) or (conf.cert_cert and not conf.ca_cert):
        raise ValueError("cert_cert needs cert_key and ca_cert, and cert_key needs cert_cert")
    if bool(conf.user) != bool(conf.password):
        raise ValueError("user needs password, and password needs user")


def _range(client: Any) -> Any:
    return client.kvstub.Range


def _txn(client: Any) -> Any:
    return client.kvstub.Txn
