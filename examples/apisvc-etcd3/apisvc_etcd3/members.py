"""Calls to the members of a cluster: deadlines, failover, and what an error means.

``etcd3`` knows one address, has no deadline unless told, and wraps each error in
its own way; so there is one of its clients for each member, and of a client only
the stubs are used. They speak gRPC and nothing else.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from oslo_config import cfg

from apisvc import errors
from apisvc_etcd3.rpc import etcd3, etcdrpc

#: Finds a frozen member, and asks a member that was gone soon again.
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 10000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
#: Seconds without asking when a member has just failed.
PAUSE = 0.1
#: What a member says of itself, with a code that speaks of nothing.
TROUBLE = ("deadline exceeded", "leader changed", "request timed out", "stopped")
#: What says that nothing was done.
NEVER_SENT = ("failed to connect", "connection refused", "name resolution", "no leader")
#: What a new client, which gets a new token, may mend.
STALE_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")


class Refused(Exception):
    """etcd's answer is the error that the caller expected."""


class Members:
    """Thread-safe. Clients are made at the first call, and anew in each process: gRPC survives no fork."""

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self._conf = conf
        #: What all keys of the store begin with.
        self.root: bytes = (conf.prefix.rstrip("/") + "/").encode()
        #: A key that is never there, where our rights reach.
        self.nothing = self.root + b"\0nothing"
        self._preferred = 0
        self._lock = threading.Lock()
        self._clients: dict[tuple[int, str], Any] = {}

    def until(self, deadline: float | None) -> float:
        """``deadline``, or that of the configured timeout."""
        return time.monotonic() + self._conf.timeout if deadline is None else deadline

    def call(
        self,
        method: Callable[[Any], Callable[..., Any]],
        request: Any,
        *,
        deadline: float | None,
        repeatable: bool = True,
        expect: str | None = None,
    ) -> Any:
        """The answer to ``request`` by ``method(client)``, of whichever member gives one.

        ``repeatable``: may be sent again when nobody knows whether it was done.

        :raises Refused: the error has the word ``expect`` in it.
        :raises StoreUnavailable: no answer in time, or another error.
        """
        until = self.until(deadline)
        renewed = False
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise errors.StoreUnavailable("etcd did not answer in time.")
            address = self.preferred()
            sent = False
            try:
                client = self.client(address)
                sent = True
                timeout = min(left, self._conf.attempt_timeout)
                return method(client)(request, timeout=timeout, metadata=metadata(client))
            except grpc.RpcError as error:
                code, words = error.code(), error.details() or ""
            except ValueError as error:  # gRPC's way to say that the channel was closed
                raise errors.StoreUnavailable(f"The store was closed ({error}).") from None
            except OSError as error:
                raise errors.StoreUnavailable(f"[etcd3] {error.filename}: {error.strerror}.") from None
            if expect is not None and expect in words:
                raise Refused(words)
            if not renewed and any(word in words for word in STALE_TOKEN):
                self.forget(address)
                renewed = True
                continue
            if not _of_the_member(code, words):
                raise errors.StoreUnavailable(f"etcd: {code.name.lower()}: {words}.")
            if sent and not repeatable and not any(word in words.lower() for word in NEVER_SENT):
                raise errors.StoreUnavailable(
                    f"etcd went away during a write, which may or may not have happened ({address}: {words})."
                )
            self.prefer_another(address)
            time.sleep(max(min(PAUSE, until - time.monotonic()), 0.0))

    def revision(self, deadline: float | None = None) -> int:
        """etcd's revision, linearizable."""
        request = etcdrpc.RangeRequest(key=self.nothing, count_only=True)
        return int(self.call(lambda client: client.kvstub.Range, request, deadline=deadline).header.revision)

    # Who is asked

    def preferred(self) -> str:
        """The member that last worked, as far as known."""
        return str(self._conf.endpoints[self._preferred % len(self._conf.endpoints)])

    def prefer_another(self, failed: str) -> None:
        with self._lock:
            if self.preferred() == failed:
                self._preferred += 1

    def client(self, address: str) -> Any:
        """The etcd3 client for a member; with a password it asks for its token here.

        :raises grpc.RpcError: there is no token to be had.
        :raises OSError: a file of certificates cannot be used.
        """
        here = os.getpid(), address
        if here not in self._clients:
            for path in filter(None, (self._conf.ca_cert, self._conf.cert_key, self._conf.cert_cert)):
                # Perhaps it is just being written. gRPC aborts the process for it.
                if not os.path.getsize(path):
                    raise OSError(errno.ENODATA, "The file is empty", path)
            host, _, port = address.rpartition("://")[2].rstrip("/").rpartition(":")
            made = etcd3.client(
                host=host,
                port=int(port),
                ca_cert=self._conf.ca_cert,
                cert_key=self._conf.cert_key,
                cert_cert=self._conf.cert_cert,
                user=self._conf.user,
                password=self._conf.password,
                timeout=self._conf.attempt_timeout,
                grpc_options=CHANNEL_OPTIONS,
            )
            if self._clients.setdefault(here, made) is not made:
                made.close()
        return self._clients[here]

    def forget(self, address: str) -> None:
        """Make the next call to a member with a new client. The old one is closed when nobody uses it any more."""
        self._clients.pop((os.getpid(), address), None)

    def close(self) -> None:
        for pid, address in list(self._clients):
            if pid == os.getpid():
                self._clients.pop((pid, address)).close()


def metadata(client: Any) -> tuple[tuple[str, str], ...]:
    """What goes with each call. A member that has lost the others then says so, instead of falling silent."""
    return (("hasleader", "true"), *(client.metadata or ()))


def _of_the_member(code: grpc.StatusCode, words: str) -> bool:
    """Whether the error speaks of the member, not of the request: another may do better."""
    return code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
    ) or (code is grpc.StatusCode.UNKNOWN and any(word in words for word in TROUBLE))
