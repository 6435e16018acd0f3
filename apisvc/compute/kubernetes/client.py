"""Requests to one API server: deadline, rate, credentials, errors; and lists in pages."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib import parse

import msgspec
import urllib3

from apisvc.compute import base
from apisvc.compute.kubernetes import options, rate, refusals, session, streams

T = TypeVar("T")

#: Who Kubernetes says manages the fields that we set.
MANAGER = "apisvc"
#: Objects in a page of a list.
PAGE = 500
#: Times that a list whose pages went stale is begun again.
LISTS = 3

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

Query = Mapping[str, str | int]


class Refused(Exception):
    """The server answered, and not with 2xx. For callers to whom some statuses are no error."""

    def __init__(self, status: int, body: bytes, what: str, retry_after: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.what = what
        self.retry_after = retry_after

    @property
    def error(self) -> base.DriverError:
        return refusals.of_answer(self.status, self.body, self.what, self.retry_after)


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A request."""

    method: str
    path: str
    query: Query
    data: bytes | None = None
    content_type: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def target(self) -> str:
        return f"{self.path}?{parse.urlencode(self.query)}" if self.query else self.path


class Client:
    """One backend's door to its API server; many threads use it.

    Every call raises DriverErrors only, and Timeout when ``deadline`` (of
    ``time.monotonic()``) passes.
    """

    def __init__(self, name: str, settings: options.Settings) -> None:
        self._name = name
        self._settings = settings
        self.sessions = session.Sessions(settings)
        self._bucket = rate.Bucket(settings.qps, settings.burst)

    def close(self) -> None:
        self.sessions.close()

    # Single objects

    def get(self, path: str, kind: type[T], *, deadline: float, **query: str | int) -> T | None:
        """The object; None when there is none."""
        try:
            return _decode(self.send("GET", path, deadline=deadline, query=query), kind)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise refused.error from None

    def post(self, path: str, body: Any, kind: type[T], *, deadline: float, **query: str | int) -> T:
        return self._told(
            lambda: _decode(self.send("POST", path, deadline=deadline, query=query, body=body), kind)
        )

    def apply(self, path: str, body: Any, kind: type[T], *, deadline: float) -> T:
        """Server-side apply: the object has the fields of ``body`` then, whoever set them before."""
        query: Query = {"fieldManager": MANAGER, "force": "true"}
        return self._told(
            lambda: _decode(
                self.send("PATCH", path, deadline=deadline, query=query, body=body, content_type=APPLY), kind
            )
        )

    def merge(self, path: str, body: Any, kind: type[T], *, deadline: float) -> T:
        return self._told(
            lambda: _decode(self.send("PATCH", path, deadline=deadline, body=body, content_type=MERGE), kind)
        )

    def delete(
        self, path: str, *, deadline: float, uid: str | None = None, version: str | None = None
    ) -> bytes | None:
        """Delete what is at ``path``, if it is the one of ``uid`` (and ``version``).

        What the server answered; None when it is not there or another one.
        """
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        wanted = {"uid": uid, "resourceVersion": version}
        if preconditions := {name: value for name, value in wanted.items() if value}:
            body["preconditions"] = preconditions
        try:
            return self.send("DELETE", path, deadline=deadline, body=body)
        except Refused as refused:
            if refused.status == 404 or (refused.status == 409 and preconditions):
                return None
            raise refused.error from None

    def delete_all(self, path: str, selector: str, *, deadline: float) -> None:
        """Delete all in the collection that the labels select; none is fine."""
        try:
            self.send("DELETE", path, deadline=deadline, query={"labelSelector": selector})
        except Refused as refused:
            if refused.status != 404:
                raise refused.error from None

    # Many

    def listed(
        self, path: str, page_type: Any, *, deadline: float, **query: str | int
    ) -> "tuple[list[Any], str]":
        """All objects of the collection and the resource version they are of; never a part of them.

        ``page_type`` has ``metadata`` (``continue_``, ``resource_version``) and ``items``.
        """
        for attempt in range(LISTS):
            try:
                return self._pages(path, page_type, deadline, query)
            except Refused as refused:
                # The rest of the pages is of a past that the server has forgotten.
                if refused.status != 410 or attempt == LISTS - 1:
                    raise refused.error from None
        raise AssertionError("unreachable")

    def _pages(self, path: str, page_type: Any, deadline: float, query: Query) -> "tuple[list[Any], str]":
        items: list[Any] = []
        more = ""
        while True:
            asked = {**query, "limit": PAGE, **({"continue": more} if more else {})}
            page = _decode(self.send("GET", path, deadline=deadline, query=asked), page_type)
            items += page.items
            more = page.metadata.continue_
            if not more:
                return items, page.metadata.resource_version

    # Everything

    def open(
        self, path: str, *, deadline: float, query: Query, sink: streams.Sink | None = None
    ) -> streams.Stream:
        """A response that goes on; ``deadline`` is for its beginning.

        :raises Refused: the server answered otherwise.
        """
        response = self._request(Ask("GET", path, query), deadline)
        # Reading from it takes as long as it takes; a half-open connection is found by keep-alive.
        streams.wait_for_ever(response)
        return streams.Stream(response, sink)

    def send(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        query: Query | None = None,
        body: Any = None,
        content_type: str = JSON,
    ) -> bytes:
        """The body of the answer.

        :raises Refused: it is not 2xx.
        """
        data = None if body is None else msgspec.json.encode(body)
        ask = Ask(method, path, query or {}, data, content_type)
        return self._read(self._request(ask, deadline), deadline, ask)

    def _request(self, ask: Ask, deadline: float) -> urllib3.BaseHTTPResponse:
        """The answer, whose body is still to be read.

        :raises Refused: it is not 2xx.
        """
        if time.monotonic() >= deadline:
            raise base.Timeout
        self._bucket.take(deadline)
        current = self.sessions.get()
        for last in (False, True):
            response = self._try(current, ask, deadline)
            if response.status < 300:
                return response
            body = self._read(response, deadline, ask, good=False)
            if response.status == 401 and not last:
                # The token was rotated, most likely, and the new one is where the old one was.
                renewed = self.sessions.renew(current)
                if renewed is not None:
                    current = renewed
                    continue
            raise Refused(response.status, body, f"{self._name}: {ask}", response.headers.get("Retry-After"))
        raise AssertionError("unreachable")

    def _try(self, current: session.Session, ask: Ask, deadline: float) -> urllib3.BaseHTTPResponse:
        headers = {"accept": JSON, "user-agent": "apisvc", **current.headers()}
        if ask.data is not None:
            headers["content-type"] = ask.content_type
        again = True
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise base.Timeout
            timeout = urllib3.Timeout(
                connect=min(left, self._settings.connect_timeout),
                read=min(left, self._settings.request_timeout),
            )
            try:
                return current.pool.request(
                    ask.method,
                    current.host + ask.target,
                    body=ask.data,
                    headers=headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except Exception as error:
                if again and refusals.never_sent(error):
                    again = False
                    continue
                raise refusals.of_transport(error, f"{self._name}: {ask}") from error

    def _read(
        self, response: urllib3.BaseHTTPResponse, deadline: float, ask: Ask, *, good: bool = True
    ) -> bytes:
        parts = []
        try:
            while part := response.read1(1 << 16):
                parts.append(part)
                if time.monotonic() >= deadline:
                    raise base.Timeout
        except base.Timeout:
            response.close()
            raise
        except Exception as error:
            response.close()
            if good:
                raise refusals.of_transport(error, f"{self._name}: {ask}") from error
        finally:
            response.release_conn()
        return b"".join(parts)

    def _told(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Refused as refused:
            raise refused.error from None


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise base.DriverBug(f"The API server answered what is no {kind}: {error}") from error
