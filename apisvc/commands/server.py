"""A small threaded HTTP server for ``apisvc-dev``; production runs under gunicorn."""

import errno
import ipaddress
import logging
import socket
import socketserver
import wsgiref.headers
from typing import IO, Any, cast
from wsgiref import simple_server

from apisvc import errors

LOG = logging.getLogger(__name__)


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Serves a WSGI application from a thread for each connection."""

    # An open stream ends with the process, not the process with the stream.
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def server_bind(self) -> None:
        # WSGIServer asks DNS for its own name, which can take long and serves nothing here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    @property
    def url(self) -> str:
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        LOG.debug("connection of %s", client_address, exc_info=True)


class Answering(simple_server.ServerHandler):
    """Answers in HTTP/1.1, of which WebSockets are a part; still one request a connection."""

    http_version = "1.1"
    headers: wsgiref.headers.Headers
    _upgrade: str | None = None

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        # WSGI leaves headers of the connection to the server; of a 426, Upgrade is the answer.
        self._upgrade = next((value for name, value in headers if name.lower() == "upgrade"), None)
        rest = [(name, value) for name, value in headers if name.lower() != "upgrade"]
        return super().start_response(status, rest, exc_info)

    def cleanup_headers(self) -> None:
        super().cleanup_headers()
        if self._upgrade is not None:
            self.headers["Upgrade"] = self._upgrade
            self.headers["Connection"] = "upgrade, close"
        else:
            self.headers["Connection"] = "close"


class Handler(simple_server.WSGIRequestHandler):
    """One connection, with the access log where the other logs are."""

    #: Seconds that a client may be silent in the middle of a request.
    timeout = 60

    def address_string(self) -> str:
        return str(self.client_address[0])

    def get_environ(self) -> dict[str, Any]:
        # By this a stream notices that its client has gone, as by gunicorn.socket.
        return {**super().get_environ(), "apisvc.socket": self.connection}

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():
            answering = Answering(
                cast(IO[bytes], self.rfile),
                cast(IO[bytes], self.wfile),
                self.get_stderr(),
                self.get_environ(),
                multithread=True,
            )
            answering.request_handler = self  # type: ignore[attr-defined]
            answering.run(self.server.get_app())  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug("%s %s", self.address_string(), format % args)


def bind(host: str, port: int) -> Server:
    """A server that listens, with no application yet. Port 0 takes a free one.

    :raises StartError: the address is taken, not ours, or no address.
    """
    if not 0 <= port <= 65535:
        raise errors.StartError(f"cannot listen on port {port}; valid: 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise errors.StartError(f"cannot listen on {host}: {error}") from None
    kind = type("FamilyServer", (Server,), {"address_family": family})
    try:
        server: Server = kind(address[:2], Handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.StartError(
                f"port {port} on {host} is in use; stop what listens there, or take another: --port N "
                "(0 takes a free one)"
            ) from None
        raise errors.StartError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return server


def is_loopback(address: str) -> bool:
    """Whether only this host can reach a listener on ``address`` (an IP address)."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        # A Unix socket: its path, or nothing.
        return True
