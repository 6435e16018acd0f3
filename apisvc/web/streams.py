"""Answers that go on: change feeds as SSE or NDJSON, and followed logs.

A stream holds a thread of the server for as long as it is open. So there are
bounded numbers of them, they notice a client that has gone, and each of them
writes something now and then (a heartbeat) while there is nothing to say.
"""

import dataclasses
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import falcon
import msgspec

from apisvc import errors, turns
from apisvc.web import problems

LOG = logging.getLogger(__name__)

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
#: Seconds until a stream looks again whether its caller may still see it.
ASK_AGAIN = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One entry of a feed. ``cursor``: where to go on after it (``Last-Event-ID``, ``?after=``)."""

    cursor: int
    kind: str
    #: A msgspec Struct or plain JSON values.
    data: Any


class Streams:
    """Counts the open streams of this process, in all and by tenant."""

    def __init__(
        self, most: int, most_per_tenant: int, changed: Callable[[int], None] = lambda count: None
    ) -> None:
        """``changed`` is told the new number of open streams."""
        self._most = most
        self._most_per_tenant = most_per_tenant
        self._changed = changed
        self._lock = threading.Lock()
        self._open = 0
        self._by_tenant: dict[str | None, int] = {}

    def admit(
        self,
        chunks: Iterator[bytes],
        tenant_id: str | None,
        req: falcon.Request,
        allowed: Callable[[], bool] = lambda: True,
    ) -> Iterable[bytes]:
        """``chunks``, counted until they are closed. An empty chunk is a chance to see whether the client lives.

        ``allowed`` is asked now and then; when it is no longer so, the stream ends.

        :raises TooManyRequests: there are as many streams as there may be; ``chunks`` is closed.
        """
        try:
            released = self.hold(tenant_id)
        except errors.TooManyRequests:
            _close(chunks)
            raise
        stream = Stream(chunks, released, lambda: gone(req.env), allowed)
        if req.method == "HEAD":  # Falcon drops the stream without closing it
            stream.close()
        return stream

    def hold(self, tenant_id: str | None) -> Callable[[], None]:
        """Count something that holds a thread for long; what it returns is to be called, once, at its end.

        :raises TooManyRequests: there are as many as there may be.
        """
        with self._lock:
            of_tenant = self._by_tenant.get(tenant_id, 0)
            if self._open >= self._most or of_tenant >= self._most_per_tenant:
                raise errors.TooManyRequests(
                    "As many streams are open as there may be; close one, or try again.", retry_after=5
                )
            self._open += 1
            self._by_tenant[tenant_id] = of_tenant + 1
            self._changed(self._open)
        return lambda: self._release(tenant_id)

    def _release(self, tenant_id: str | None) -> None:
        with self._lock:
            self._open -= 1
            self._by_tenant[tenant_id] -= 1
            if not self._by_tenant[tenant_id]:
                del self._by_tenant[tenant_id]
            self._changed(self._open)


class Stream:
    """What the WSGI server iterates and closes."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        released: Callable[[], None],
        gone: Callable[[], bool],
        allowed: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chunks = chunks
        self._released: Callable[[], None] | None = released
        self._gone = gone
        self._allowed = allowed
        self._now = now
        self._asked = now()

    def __iter__(self) -> Iterator[bytes]:
        turns.leave()
        return self

    def __next__(self) -> bytes:
        try:
            while True:
                chunk = next(self._chunks)
                if not self._still_allowed() or (not chunk and self._gone()):
                    raise StopIteration
                if chunk:
                    return chunk
        except StopIteration:
            self.close()
            raise
        except Exception:
            # The status line is out; all that is left is to end here.
            LOG.exception("A stream broke off")
            self.close()
            raise StopIteration from None

    def _still_allowed(self) -> bool:
        # APPSEC: A token revoked or a member removed sees nothing more, however
        # long its streams have been open.
        if self._now() - self._asked < ASK_AGAIN:
            return True
        self._asked = self._now()
        return self._allowed()

    def close(self) -> None:
        released, self._released = self._released, None
        if released is not None:
            released()
            _close(self._chunks)


def wanted(req: falcon.Request) -> str | None:
    """The stream format that the client asks for with Accept: :data:`SSE`, :data:`NDJSON`, or None: a page."""
    accept: str = req.env.get("HTTP_ACCEPT", "")
    return next((kind for kind in (SSE, NDJSON) if kind in accept), None)


def cursor(req: falcon.Request, after: int | None) -> int | None:
    """Where the client wants to go on: its Last-Event-ID, else ``after`` (of the query).

    :raises InvalidRequest: the header is not a cursor of ours.
    """
    last: str | None = req.env.get("HTTP_LAST_EVENT_ID")
    if not last:
        return after
    if last.isascii() and last.isdigit() and len(last) <= 18:
        return int(last)
    detail = "Expected the id of an event of this feed: digits."
    raise errors.InvalidRequest(
        f"Last-Event-ID: {detail}", errors=(errors.FieldError("header:Last-Event-ID", detail),)
    )


def feed(
    items: Iterable[Item | None],
    media_type: str,
    *,
    heartbeat: float,
    request_id: str | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """``items`` as ``media_type``. None among them means "nothing yet": a chance for a heartbeat.

    A domain error that ends the feed becomes its last entry: the SSE event
    ``error``, or the line ``{"error": {...}}``, with a problem document.
    """
    form, beat = (_sse, b": \n\n") if media_type == SSE else (_ndjson, b"\n")
    source = iter(items)
    said = now()
    try:
        # Sent at once, so that the client knows that it is connected.
        yield beat
        for item in source:
            if item is not None:
                yield form(item)
            elif now() - said < heartbeat:
                yield b""
                continue
            else:
                yield beat
            said = now()
    except errors.ApisvcError as error:
        document = problems.document(error, request_id)
        if media_type == SSE:
            yield b"event: error\ndata: " + msgspec.json.encode(document) + b"\n\n"
        else:
            yield msgspec.json.encode({"error": document}) + b"\n"
    finally:
        _close(source)


def _sse(item: Item) -> bytes:
    return (
        f"id: {item.cursor}\nevent: {item.kind}\ndata: ".encode() + msgspec.json.encode(item.data) + b"\n\n"
    )


def _ndjson(item: Item) -> bytes:
    return msgspec.json.encode({"cursor": item.cursor, "kind": item.kind, "data": item.data}) + b"\n"


def gone(env: dict[str, Any]) -> bool:
    """Whether the client has closed its end. Without a plain socket at hand: False; writing will tell."""
    connection = env.get("gunicorn.socket") or env.get("apisvc.socket")
    if not isinstance(connection, socket.socket) or isinstance(connection, ssl.SSLSocket):
        return False
    try:
        # NOTE: poll, for select refuses descriptors beyond 1023.
        ready = select.poll()
        ready.register(connection, select.POLLIN)
        return bool(ready.poll(0)) and connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True


def _close(chunks: object) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
