"""A terminal inside an instance over a WebSocket (RFC 6455).

Every message is binary; its first byte is the channel, as in Kubernetes' own
protocol for the same thing:

==  =========  ====================================================================
0   to us      input; an empty one: there is no more
1   to client  what the program wrote to stdout (with a tty: everything)
2   to client  what it wrote to stderr
3   to client  JSON, the last message: ``{"exit_code": 0}``, or ``{"error": {...}}``
               with a problem document
4   to us      JSON, the size of the window: ``{"columns": 80, "rows": 24}``
==  =========  ====================================================================

The bytes of the protocol are the library's (websockets, its part without I/O).
The server's socket is ours for as long as it lasts: the thread of the request
sends, another one receives, so neither input nor output is kept in memory when
the other end does not take it.
"""

import contextlib
import errno
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import falcon
import msgspec
import websockets
from websockets import frames, http11, protocol, server

from apisvc import errors, turns
from apisvc.service import sessions
from apisvc.web import problems, streams

LOG = logging.getLogger(__name__)

#: The subprotocol that both ends must name.
SUBPROTOCOL = "v1.exec.apisvc"
STDIN, STDOUT, STDERR, END, SIZE = range(5)
#: Bytes of a message to us.
MAX_MESSAGE = 65536
#: Seconds that a client may leave no room for a byte, or a ping without answer.
STALLED = 30.0
PING = 20.0
#: Seconds that a client may take to close its end when all is said.
FAREWELL = 2.0
_LOOK = 0.5
#: What of a request's head is of the opening handshake.
_HEAD = (
    "Host",
    "Upgrade",
    "Connection",
    "Origin",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
)


class _Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    columns: Annotated[int, msgspec.Meta(ge=1, le=10000)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=10000)]


class Limits(msgspec.Struct, frozen=True):
    """Seconds without input and output, and in all, after which a terminal is closed."""

    idle: float
    longest: float


def require_upgrade(req: falcon.Request) -> None:
    """Whether the request opens a WebSocket that we can serve.

    :raises UpgradeRequired: it does not ask for one.
    :raises InvalidRequest: it does, in a way that is none.
    """
    _handshake(req)


def _socket(env: dict[str, Any]) -> socket.socket | None:
    connection = env.get("gunicorn.socket") or env.get("apisvc.socket")
    return connection if isinstance(connection, socket.socket) else None


def _handshake(req: falcon.Request) -> tuple[server.ServerProtocol, http11.Response]:
    """The protocol's side of an opening handshake, and the answer that accepts it."""
    asked = req.env.get("HTTP_UPGRADE", "").lower() == "websocket"
    if not asked or req.method != "GET" or _socket(req.env) is None:
        raise errors.UpgradeRequired(subprotocols=[SUBPROTOCOL])
    # The server has read the head of the request; the protocol is told it again, in as many words as it needs.
    told = {name: req.env.get("HTTP_" + name.upper().replace("-", "_")) for name in _HEAD}
    lines = [f"{name}: {value}\r\n" for name, value in told.items() if value is not None]
    made = server.ServerProtocol(
        subprotocols=[websockets.Subprotocol(SUBPROTOCOL)], max_size=MAX_MESSAGE, logger=LOG
    )
    made.receive_data(f"GET / HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1"))
    requests = [event for event in made.events_received() if isinstance(event, http11.Request)]
    if not requests:
        raise errors.InvalidRequest("This opens no WebSocket: its header cannot be read.")
    answer = made.accept(requests[0])
    if answer.status_code != 101:
        reason = (answer.body or b"").decode(errors="replace").strip().rpartition(": ")[2]
        raise errors.InvalidRequest(
            f"This opens no WebSocket: {reason}",
            errors=(errors.FieldError("header:Sec-WebSocket-Protocol", f"Expected {SUBPROTOCOL}."),)
            if "subprotocol" in reason
            else (),
        )
    return made, answer


class Bridge:
    """Between a program and a client; what the WSGI server iterates, once, and closes.

    It ends with a ConnectionResetError: by then the connection is used up, and
    so every server lets go of it without a word.
    """

    def __init__(
        self,
        session: sessions.Session,
        req: falcon.Request,
        limits: Limits,
        *,
        released: Callable[[], None],
        allowed: Callable[[], bool],
        ended: Callable[[str], None],
    ) -> None:
        """``ended`` is told why: exited, idle, longest, denied, gone or failed."""
        self._session = session
        self._protocol, self._answer = _handshake(req)
        connection = _socket(req.env)
        assert connection is not None  # or there would be no handshake
        self._socket = connection
        self._limits = limits
        self._released: Callable[[], None] | None = released
        self._allowed = allowed
        self._ended = ended
        self._lock = threading.Lock()
        self._gone = threading.Event()
        self._active = self._heard = time.monotonic()
        self._request_id = getattr(req.context, "request_id", None)

    def __iter__(self) -> Iterator[bytes]:
        turns.leave()
        return self

    def __next__(self) -> bytes:
        why = "failed"
        try:
            why = self._serve()
        except OSError as error:
            why = "gone"
            LOG.debug("A terminal's client has gone: %s", error)
        except Exception:
            LOG.exception("A terminal broke off")
        finally:
            self._ended(why)
            self.close()
        raise ConnectionResetError(errno.ECONNRESET, "the connection was a WebSocket and is used up")

    def close(self) -> None:
        released, self._released = self._released, None
        if released is not None:
            self._gone.set()
            self._session.close()
            released()

    def _serve(self) -> str:
        # Nothing of ours may wait for the client for ever.
        self._socket.settimeout(STALLED)
        with self._lock:
            self._protocol.send_response(self._answer)
            self._flush()
        receiver = threading.Thread(target=self._receive, name="terminal input", daemon=True)
        receiver.start()
        try:
            why, last = self._pump()
            if last is not None and not self._gone.is_set():
                self._send(END, msgspec.json.encode(last))
                self._bid_farewell()
            return why
        finally:
            self._gone.set()
            self._session.close()
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            receiver.join(FAREWELL)

    # To the client

    def _pump(self) -> tuple[str, dict[str, Any] | None]:
        """Hand on what the program writes; why that came to an end, and the client's last message."""
        began = asked = pinged = time.monotonic()
        while not self._gone.is_set():
            try:
                piece = self._session.read(_LOOK)
            except errors.ApisvcError as error:
                return "failed", self._problem(error)
            now = time.monotonic()
            if piece is None:
                return "exited", {"exit_code": self._session.exit_code}
            if piece[1]:
                self._active = now
                self._send(STDOUT if piece[0] == 1 else STDERR, piece[1])
            if now - asked >= streams.ASK_AGAIN:
                # APPSEC: As with streams: who is not let in any more is shown out.
                asked = now
                if not self._allowed():
                    return "denied", self._problem(errors.Forbidden("You are no longer let in here."))
            if now - self._active > self._limits.idle:
                return "idle", self._problem(errors.SessionEnded(f"Idle for {self._limits.idle:g} seconds."))
            if now - began > self._limits.longest:
                detail = f"It lasted {self._limits.longest:g} seconds."
                return "longest", self._problem(errors.SessionEnded(detail))
            if now - pinged >= PING:
                pinged = now
                if now - self._heard > PING + STALLED:
                    return "gone", None
                with self._lock:
                    self._protocol.send_ping(b"")
                    self._flush()
        return "gone", None

    def _problem(self, error: errors.ApisvcError) -> dict[str, Any]:
        return {"error": problems.document(error, self._request_id)}

    def _send(self, channel: int, data: bytes) -> None:
        with self._lock:
            if self._protocol.state is protocol.State.OPEN:
                self._protocol.send_binary(bytes([channel]) + data)
                self._flush()

    def _bid_farewell(self) -> None:
        with self._lock:
            if self._protocol.state is protocol.State.OPEN:
                self._protocol.send_close(frames.CloseCode.NORMAL_CLOSURE)
                self._flush()
        self._gone.wait(FAREWELL)

    def _flush(self) -> None:
        """Within the lock: what the protocol has to say. Past STALLED it raises TimeoutError, an OSError."""
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)

    # From the client

    def _receive(self) -> None:
        try:
            message = b""
            while not self._gone.is_set():
                for frame in self._arrived():
                    self._heard = time.monotonic()
                    if frame.opcode not in (frames.Opcode.BINARY, frames.Opcode.TEXT, frames.Opcode.CONT):
                        continue
                    message += frame.data
                    if frame.fin:
                        self._take(message)
                        message = b""
        except (OSError, ValueError) as error:
            LOG.debug("A terminal's client has gone: %s", error)
        except errors.ApisvcError as error:
            # The program takes no more; what it still writes is handed on.
            LOG.debug("A terminal takes no input: %s", error.detail)
            return
        except Exception:
            LOG.exception("Input of a terminal broke off")
        self._gone.set()

    def _arrived(self) -> list[frames.Frame]:
        """The frames that have come; sets ``_gone`` when there will be no more."""
        if not self._readable():
            return []
        with self._lock:
            data = self._socket.recv(MAX_MESSAGE)
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            self._flush()
            found = [one for one in self._protocol.events_received() if isinstance(one, frames.Frame)]
            if not data or self._protocol.state is not protocol.State.OPEN:
                self._gone.set()
        return found

    def _readable(self) -> bool:
        # Without the lock, so that output goes on; a TLS socket is not to be used by two at once.
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        ready = select.poll()
        ready.register(self._socket, select.POLLIN)
        return bool(ready.poll(_LOOK * 1000))

    def _take(self, message: bytes) -> None:
        channel, data = message[:1], message[1:]
        if channel == bytes([STDIN]):
            self._active = time.monotonic()
            self._session.write(data)
        elif channel == bytes([SIZE]):
            try:
                size = msgspec.json.decode(data, type=_Size)
            except msgspec.MsgspecError as error:
                return self._refuse(f"The size of a window it is not: {error}")
            self._session.resize(size.columns, size.rows)
        else:
            self._refuse(f"There is no channel {channel[0] if channel else '(an empty message)'} to us.")
        return None

    def _refuse(self, reason: str) -> None:
        with self._lock:
            self._protocol.fail(frames.CloseCode.POLICY_VIOLATION, reason[:120])
            self._flush()
        self._gone.set()
