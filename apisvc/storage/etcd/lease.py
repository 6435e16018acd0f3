"""Leases, kept alive one request at a time: who holds a lease has its own rhythm."""

import math
import time
from typing import Any

import grpc

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import client as etcd_client
from apisvc.storage.etcd import protocol

#: Seconds between two attempts to reach a member.
PAUSE = 0.05


def grant(client: etcd_client.Client, ttl: float, deadline: float | None) -> "EtcdLease":
    request = protocol.load().LeaseGrantRequest(TTL=math.ceil(ttl))
    # Asked for twice it is two leases, of which the lost one ends by itself.
    answer = client.call("Lease/LeaseGrant", request, deadline=deadline, repeatable=True)
    return EtcdLease(client, answer.ID, float(answer.TTL))


def name(number: int) -> str | None:
    """The contract's name of etcd's lease ``number``; 0 is none."""
    return format(number, "x") if number else None


def number(name: str) -> int:
    """The other way round. LeaseLost when it cannot be one."""
    try:
        return int(name, 16)
    except ValueError:
        raise base.LeaseLost(f"lease {name} does not exist") from None


class EtcdLease(base.Lease):
    def __init__(self, client: etcd_client.Client, number: int, ttl: float) -> None:
        self.id = name(number) or ""
        self.ttl = ttl
        self._number = number
        self._client = client

    def keep_alive(self, *, deadline: float | None = None) -> None:
        until = self._client.until(deadline)
        while True:
            here = self._client.here
            endpoint = here.preferred()
            try:
                left = self._ask(min(until, time.monotonic() + self._client.conf.attempt_timeout))
            except grpc.RpcError as error:
                code, details = etcd_client.meaning(error)
                if not etcd_client.out_of_reach(code, details) and not _stale(details):
                    raise etcd_client.unavailable(code, details) from None
                here.prefer_another(endpoint)
                here.forget_token()
                if time.monotonic() + PAUSE >= until:
                    raise errors.StoreUnavailable(
                        f"etcd did not take the keep-alive ({endpoint.address}: {details})."
                    ) from None
                time.sleep(PAUSE)
                continue
            if left <= 0:
                raise base.LeaseLost(f"lease {self.id} has ended")
            return

    def _ask(self, until: float) -> int:
        """Seconds that the lease now has; 0: it has ended."""
        request = protocol.load().LeaseKeepAliveRequest(ID=self._number)
        answers: Any = self._client.stream(
            self._client.here.preferred(), "Lease/LeaseKeepAlive", iter([request]), until=until
        )
        try:
            for answer in answers:
                return int(answer.TTL)
        finally:
            answers.cancel()
        raise errors.StoreUnavailable("etcd ended the keep-alive without an answer.")

    def revoke(self, *, deadline: float | None = None) -> None:
        request = protocol.load().LeaseRevokeRequest(ID=self._number)
        try:
            self._client.call(
                "Lease/LeaseRevoke", request, deadline=deadline, repeatable=True, expect="lease not found"
            )
        except etcd_client.CallFailed:
            return  # it has ended already


def _stale(details: str) -> bool:
    return any(word in details for word in etcd_client.STALE_TOKEN)
