"""One process's channels to the members, which of them to ask, and the token.

Each endpoint has a channel of its own: several addresses in one channel break
the verification of their certificates, and the failover is ours anyway.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from oslo_config import cfg

from apisvc import errors
from apisvc.storage.etcd import certificates, protocol

#: What notices a frozen member within 9 s and makes no server say too_many_pings (below 5 s they do).
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


class Endpoint:
    """One member's address and its channel."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None) -> None:
        self.address = address
        self.channel = (
            grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)
            if credentials
            else grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        )
        self._callables: dict[str, Callable[..., Any]] = {}

    def method(self, name: str) -> Callable[..., Any]:
        """The callable for ``KV/Range`` and the like."""
        if name not in self._callables:
            method = protocol.load().methods[name]
            factory = self.channel.stream_stream if method.streaming else self.channel.unary_unary
            self._callables[name] = factory(method.path, method.serialize, method.deserialize)
        return self._callables[name]


class Connections:
    """Thread-safe. Connects with the first call; not to be used across a fork."""

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self._conf = conf
        #: The certificates and keys that the channels have.
        self._files = certificates.Files(conf)
        #: Why those that are there by now are not used.
        self._unusable = ""
        self.endpoints = self._open()
        self._lock = threading.Lock()
        # Processes spread over the members.
        self._preferred = random.randrange(len(self.endpoints))
        self._token: str | None = None
        self._authenticating = threading.Lock()

    def _open(self) -> list[Endpoint]:
        return [Endpoint(_address(endpoint), self._files.credentials) for endpoint in self._conf.endpoints]

    def preferred(self) -> Endpoint:
        """The endpoint that last worked, as far as known."""
        return self.endpoints[self._preferred]

    def prefer_another(self, failed: Endpoint) -> None:
        """Later calls begin with the endpoint after ``failed``; and with the certificates there are now."""
        with self._lock:
            if self.endpoints[self._preferred] is failed:
                self._preferred = (self._preferred + 1) % len(self.endpoints)
            self._renew()

    def _renew(self) -> None:
        self._unusable = ""
        if not self._files.outdated():
            return
        try:
            self._files = certificates.Files(self._conf)
        except errors.StoreUnavailable as error:  # perhaps they are just being written
            self._unusable = error.detail
            return
        # Calls under way go on with the channels that they have.
        self.endpoints = self._open()

    def doubt(self) -> str:
        """What may be wrong with our certificate, as a member that refuses it does not say so; or nothing."""
        return f"; {self._unusable}" if self._unusable else self._files.doubt()

    def metadata(self, endpoint: Endpoint, until: float) -> list[tuple[str, str]]:
        """What goes with every call. Authenticates first where that is needed.

        :raises grpc.RpcError: etcd refused us, or could not be asked.
        """
        # A member that has lost the others then says so instead of falling silent.
        found = [("hasleader", "true")]
        if self._conf.user:
            found.append(("token", self._token or self._authenticate(endpoint, until)))
        return found

    def forget_token(self, used: list[tuple[str, str]] | None = None) -> None:
        """Authenticate again with the next call; ``used``: unless that has already happened since."""
        if used is None or ("token", self._token) in used:
            self._token = None

    def _authenticate(self, endpoint: Endpoint, until: float) -> str:
        # One at a time: etcd takes a tenth of a second to check a password.
        left = max(min(until - time.monotonic(), self._conf.attempt_timeout), 0.0)
        if not self._authenticating.acquire(timeout=left):
            raise errors.StoreUnavailable(f"etcd did not answer in time ({endpoint.address}).")
        try:
            if self._token is None:
                request = protocol.load().AuthenticateRequest(
                    name=self._conf.user, password=self._conf.password or ""
                )
                self._token = endpoint.method("Auth/Authenticate")(request, timeout=left).token
            return self._token
        finally:
            self._authenticating.release()

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.channel.close()


def _address(endpoint: str) -> str:
    return endpoint.split("://", 1)[-1].rstrip("/")
