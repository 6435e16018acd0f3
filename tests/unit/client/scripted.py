"""A real HTTP server on a free port of this host that answers as a test tells it."""

import dataclasses
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any


@dataclasses.dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclasses.dataclass
class Reply:
    """``body``: JSON, or raw bytes; ``chunks``: a chunked stream, cut at its end where ``cut``."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    media: str = "application/json"
    chunks: Iterable[bytes] | None = None
    cut: bool = False
    #: Stream without length or chunks, ended by closing, as an HTTP/1.0 server does.
    old: bool = False


#: The connection is closed without an answer.
CUT = Reply(status=0)


def problem(
    status: int, code: str, detail: str = "No.", headers: dict[str, str] | None = None, **more: Any
) -> Reply:
    body = {"status": status, "code": code, "title": "Title", "detail": detail, "request_id": "req-1", **more}
    return Reply(status, body, headers or {}, "application/problem+json")


class ScriptedServer:
    """Answers with the replies given, one a request in their order, or as ``route`` says.

    ``with ScriptedServer([...]) as server``; ``server.seen`` lists what arrived.
    """

    def __init__(
        self, replies: Iterable[Reply] = (), route: Callable[[Seen], Reply | None] | None = None
    ) -> None:
        self.seen: list[Seen] = []
        self._replies = list(replies)
        self._route = route
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, dict(self.headers), json.loads(raw) if raw else None)
                outer._answer(self, outer._next(seen))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read ``seen`` instead."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away in the middle is part of some tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _next(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            reply = self._route(seen) if self._route else None
            if reply is None and self._replies:
                reply = self._replies.pop(0)
        return reply or problem(404, "apisvc.resource.not_found", f"Not scripted: {seen.method} {seen.path}")

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.status == 0:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.chunks is not None:
            self._stream(handler, reply)
            return
        raw = reply.body if isinstance(reply.body, bytes) else b""
        if reply.body is not None and not isinstance(reply.body, bytes):
            raw = json.dumps(reply.body).encode()
        if raw:
            handler.send_header("Content-Type", reply.media)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def _stream(self, handler: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.send_header("Content-Type", reply.media)
        handler.send_header(*(("Connection", "close") if reply.old else ("Transfer-Encoding", "chunked")))
        handler.end_headers()
        assert reply.chunks is not None
        if reply.old:
            for chunk in reply.chunks:
                handler.wfile.write(chunk)
                handler.wfile.flush()
            return
        for chunk in reply.chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            handler.wfile.flush()
        if reply.cut:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.wfile.write(b"0\r\n\r\n")

    def __enter__(self) -> "ScriptedServer":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
