"""Calls to etcd: deadlines, failover, and what an error means.

A call goes to the endpoint that last worked. What surely was not done there is
tried on the next one, and so are reads, whatever happened to them. A write
whose answer was lost is never repeated: nobody knows whether it was done.
"""

import logging
import os
import time
from collections.abc import Iterator
from typing import Any

import grpc
from oslo_config import cfg

from apisvc import errors
from apisvc.storage import forks
from apisvc.storage.etcd import connections, protocol

LOG = logging.getLogger(__name__)

#: Words that say nothing was done: no connection, or a member without a leader refused at once.
NEVER_SENT = (
    "failed to connect",
    "connection refused",
    "dns resolution failed",
    "name resolution",
    "no leader",
)
#: Answers after which a new token may help.
STALE_TOKEN = (
    "invalid auth token",
    "revision of auth store is old",
    "revision in header is old",  # the same, in the words of 3.5
    "user name is empty",
)
#: What a member says of itself, with a code that would speak of the request.
MEMBER_TROUBLE = ("deadline exceeded", "leader changed", "request timed out", "stopped", "not capable")
#: What becomes of a connection whose certificate the member refuses.
REFUSED_CERTIFICATE = ("TSI_DATA_CORRUPTED", "Socket closed", "Connection reset", "TSI_PROTOCOL_FAILURE")
#: What etcd says from a NOSPACE alarm on.
NO_SPACE = "database space exceeded"
#: The driver's own key. It sorts before every key of the contract, which has no NUL.
BEAT = b"\0beat"
#: Seconds without asking when every member has just failed.
PAUSE = 0.1


class CallFailed(Exception):
    """etcd answered with an error that speaks of the request."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class Client:
    """Thread-safe, and usable in each process after a fork. ``conf`` is the group ``[etcd]``."""

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self.conf = conf
        self.prefix: bytes = (conf.prefix.rstrip("/") + "/").encode()
        #: A channel from before a fork is never used: grpc hangs then.
        self._connections = forks.PerProcess(self._connect)
        self._pid: int | None = None

    @property
    def here(self) -> connections.Connections:
        """This process's connections."""
        return self._connections.get()

    def _connect(self) -> connections.Connections:
        made = connections.Connections(self.conf)
        if self._pid not in (None, os.getpid()):
            LOG.warning("etcd was used before this process was forked; grpc may hang after that")
        self._pid = os.getpid()
        return made

    def close(self) -> None:
        if found := self._connections.pop():
            found.close()

    def until(self, deadline: float | None) -> float:
        """``deadline``, or that of the configured timeout."""
        return time.monotonic() + self.conf.timeout if deadline is None else deadline

    def call(
        self,
        name: str,
        request: Any,
        *,
        deadline: float | None,
        repeatable: bool,
        expect: str | None = None,
        patience: float = 1.0,
    ) -> Any:
        """The answer of the unary method ``name``.

        ``repeatable``: may be sent again when it is unknown whether it was done.
        ``expect``: an error with this word in it is the caller's to read.
        ``patience``: wait so many times longer for one member, as for what takes it long.

        :raises CallFailed: the error that was expected.
        :raises StoreUnavailable: no member answered in time, etcd refuses us, or
            (not repeatable) it is unknown whether it was done.
        """
        until = self.until(deadline)
        here = self.here
        renewed = False
        tried = 0
        reason = ""
        while True:
            endpoint = here.preferred()
            left = until - time.monotonic()
            if left <= 0:
                raise errors.StoreUnavailable(f"etcd did not answer in time ({endpoint.address}{reason}).")
            sent: list[tuple[str, str]] | None = None
            try:
                sent = here.metadata(endpoint, until)
                timeout = min(left, self.conf.attempt_timeout * patience)
                return endpoint.method(name)(request, timeout=timeout, metadata=sent)
            except grpc.RpcError as error:
                code, details = meaning(error)
            except ValueError as error:  # grpc: the channel was closed meanwhile
                raise errors.StoreUnavailable(f"The store was closed ({error}).") from None
            if not renewed and self.conf.user and any(word in details for word in STALE_TOKEN):
                here.forget_token(sent)
                renewed = True
                continue
            if not out_of_reach(code, details):
                if expect is not None and expect in details:
                    raise CallFailed(code, details)
                raise unavailable(code, details)
            here.prefer_another(endpoint)
            reason = f": {details}{doubt(here, details)}"
            tried += 1
            if not repeatable and sent is not None and not never_sent(code, details):
                raise errors.StoreUnavailable(
                    "etcd went away during a write, which may or may not have happened "
                    f"({endpoint.address}{reason})."
                )
            # After a whole round without success there is nobody to ask for a moment.
            pause = PAUSE if tried % len(here.endpoints) == 0 else 0.0
            if time.monotonic() + pause >= until:
                raise errors.StoreUnavailable(f"etcd cannot be reached ({endpoint.address}{reason}).")
            time.sleep(pause)

    def revision(self, deadline: float | None) -> int:
        """The revision of all of etcd, linearizable."""
        # A key of ours, as our user may have the right to no other.
        request = protocol.load().RangeRequest(key=self.prefix + BEAT, count_only=True)
        answer = self.call("KV/Range", request, deadline=deadline, repeatable=True)
        return int(answer.header.revision)

    def stream(
        self, endpoint: connections.Endpoint, name: str, requests: Iterator[Any], *, until: float | None
    ) -> Any:
        """A bidirectional stream on one endpoint; ends at ``until``, or never.

        :raises grpc.RpcError: etcd refused us, or could not be asked.
        """
        timeout = None if until is None else max(until - time.monotonic(), 0.0)
        metadata = self.here.metadata(endpoint, until or self.until(None))
        return endpoint.method(name)(requests, timeout=timeout, metadata=metadata)


def meaning(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Code and words of an error."""
    assert isinstance(error, grpc.Call), "grpc gives both in one object"
    return error.code(), error.details() or ""


def doubt(here: connections.Connections, details: str) -> str:
    """What an error in the words of a broken connection leaves out: the member refused our certificate."""
    return here.doubt() if any(word in details for word in REFUSED_CERTIFICATE) else ""


def never_sent(code: grpc.StatusCode, details: str) -> bool:
    """Whether nothing can have been done."""
    return code == grpc.StatusCode.UNIMPLEMENTED or any(word in details.lower() for word in NEVER_SENT)


def out_of_reach(code: grpc.StatusCode, details: str) -> bool:
    """Whether the error speaks of the member, not of the request: another may do better."""
    if code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNIMPLEMENTED,  # no etcd at all
        grpc.StatusCode.INTERNAL,
    ):
        return True
    return code == grpc.StatusCode.UNKNOWN and any(word in details for word in MEMBER_TROUBLE)


def unavailable(code: grpc.StatusCode, details: str) -> errors.StoreUnavailable:
    """What to tell of an error that only people can mend."""
    if NO_SPACE in details:
        return errors.StoreUnavailable(
            "etcd has no space left: compact, defragment, then clear its NOSPACE alarm.", retry_after=10
        )
    if (
        code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
        or "authentication" in details
        or any(word in details for word in STALE_TOKEN)
    ):
        return errors.StoreUnavailable(f"etcd refuses our user: {details}.", retry_after=10)
    return errors.StoreUnavailable(f"etcd: {code.name.lower()}: {details}.")
