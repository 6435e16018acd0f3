"""Leases, kept alive by one request at a time."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

from apisvc import errors
from apisvc.storage import base
from apisvc_etcd3 import members
from apisvc_etcd3.rpc import etcdrpc


def grant(cluster: members.Members, ttl: float, deadline: float | None) -> "Etcd3Lease":
    base.check_ttl(ttl)
    request = etcdrpc.LeaseGrantRequest(TTL=math.ceil(ttl))
    answer = cluster.call(lambda client: client.leasestub.LeaseGrant, request, deadline=deadline)
    return Etcd3Lease(cluster, answer.ID, float(answer.TTL))


def name(number: int) -> str | None:
    """The contract's name for etcd's lease ``number``; 0 is none."""
    return format(number, "x") if number else None


def number(name: str | None) -> int:
    """The other way round. LeaseLost when it cannot be one."""
    try:
        return int(name, 16) if name is not None else 0
    except ValueError:
        raise base.LeaseLost(f"lease {name} does not exist") from None


class Etcd3Lease(base.Lease):
    def __init__(self, cluster: members.Members, number: int, ttl: float) -> None:
        self.id = format(number, "x")
        self.ttl = ttl
        self._number = number
        self._cluster = cluster

    def keep_alive(self, *, deadline: float | None = None) -> None:
        answer = self._cluster.call(
            lambda client: one(client.leasestub.LeaseKeepAlive),
            etcdrpc.LeaseKeepAliveRequest(ID=self._number),
            deadline=deadline,
        )
        if answer.TTL <= 0:
            raise base.LeaseLost(f"lease {self.id} has ended")

    def revoke(self, *, deadline: float | None = None) -> None:
        try:
            self._cluster.call(
                lambda client: client.leasestub.LeaseRevoke,
                etcdrpc.LeaseRevokeRequest(ID=self._number),
                deadline=deadline,
                expect="lease not found",
            )
        except members.Refused:
            return  # it has ended already


def one(stream: Callable[..., Any], wanted: Callable[[Any], Any] = lambda answer: True) -> Callable[..., Any]:
    """A stream of both sides, used for one request and the first answer that is ``wanted``."""

    def call(request: Any, **options: Any) -> Any:
        done = threading.Event()

        def requests() -> Iterator[Any]:
            yield request
            done.wait()  # the stream lives as long as this generator

        answers = stream(requests(), **options)
        try:
            for answer in answers:
                if wanted(answer):
                    return answer
        finally:
            done.set()
            answers.cancel()
        raise errors.StoreUnavailable("etcd ended a stream without an answer.")

    return call
