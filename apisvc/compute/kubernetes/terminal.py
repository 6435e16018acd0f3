"""Programs within an instance: exec over a WebSocket, in Kubernetes' channel protocol.

With websocket-client, on which the client library's own ``WSClient`` stands:
that one connects without a time limit, and decodes what it reads.
"""

import json
import re
import select
import ssl
import threading
import time
from typing import Any
from urllib import parse

from apisvc.compute import base
from apisvc.compute.kubernetes import refusals, seen, session

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE = range(5)
_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
_CLOSE = 255
#: Bytes of input in one message.
_PIECE = 1 << 15
#: Seconds that a program may take to fail to start, so that it is told at once.
_FAILS_WITHIN = 1.0
#: Seconds for sending a piece of input.
_SEND = 15.0
_NO_PROGRAM = re.compile(
    r"executable file not found|no such file or directory|permission denied.*exec|exec format error"
)


class Terminal(base.Terminal):
    """See :func:`open_terminal`."""

    def __init__(self, socket: Any, *, tty: bool) -> None:
        self._socket = socket
        self._tty = tty
        # One thread reads while another writes, which a TLS connection cannot take.
        self._lock = threading.Lock()
        self._exit_code: int | None = None
        self._ended = False
        self._kept: list[tuple[int, bytes]] = []

    def read(self, timeout: float) -> tuple[int, bytes] | None:
        if self._kept:
            return self._kept.pop(0)
        end = time.monotonic() + timeout
        while not self._ended:
            if not self._readable(max(0.0, end - time.monotonic())):
                return _STDOUT, b""
            piece = self._receive()
            if piece is not None:
                return piece
        return None

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            self._send(bytes([_STDIN]) + data[start : start + _PIECE])
        if not data and not self._tty and self._socket.subprotocol == _PROTOCOLS[0]:
            # Before v5 (Kubernetes 1.30) there is no way to say so, and the program waits for more.
            self._send(bytes([_CLOSE, _STDIN]))

    def resize(self, columns: int, rows: int) -> None:
        if self._tty:
            self._send(bytes([_RESIZE]) + json.dumps({"Width": columns, "Height": rows}).encode())

    @property
    def exit_code(self) -> int | None:
        return self._exit_code

    def close(self) -> None:
        self._ended = True
        self._socket.shutdown()

    def settle(self, seconds: float) -> None:
        """Wait for the first word of it, so that a program that cannot start is an error at once."""
        piece = self.read(seconds)
        if piece is not None and piece[1]:
            self._kept.append(piece)

    def _send(self, message: bytes) -> None:
        if self._ended:
            return
        try:
            with self._lock:
                self._socket.send_binary(message)
        except Exception as error:
            raise _broken(error) from error

    def _readable(self, timeout: float) -> bool:
        sock = self._socket.sock
        if sock is None:
            return True  # reading tells how it ended
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def _receive(self) -> tuple[int, bytes] | None:
        """A piece of output, if the next frame is one."""
        import websocket

        try:
            with self._lock:
                opcode, frame = self._socket.recv_data_frame(True)
        except websocket.WebSocketConnectionClosedException:
            self._ended = True
            return None
        except Exception as error:
            self._ended = True
            raise _broken(error) from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self._ended = True
        if opcode not in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) or not frame.data:
            return None
        channel, data = frame.data[0], bytes(frame.data[1:])
        if channel == _ERROR:
            self._exit(data)
        if channel in (_STDOUT, _STDERR) and data:
            return channel, data
        return None

    def _exit(self, data: bytes) -> None:
        """The last word: a Status that says how it ended."""
        refusal = refusals.read(data)
        self._ended = True
        if not refusal.message and refusal.reason == "":
            self._exit_code = 0
            return
        for cause in refusal.details.causes if refusal.details else []:
            if cause.get("reason") == "ExitCode":
                self._exit_code = int(cause.get("message", ""))
                return
        self.close()
        if _NO_PROGRAM.search(refusal.message):
            raise base.NotFound("There is no such program in the instance.")
        raise base.Unavailable("The program could not be run.")


def open_terminal(
    current: session.Session, pod: seen.Pod, request: base.ExecRequest, deadline: float, connect: float
) -> Terminal:
    """Run a program in the pod.

    :raises NotFound: there is no such program; also the first ``read`` may raise it.
    :raises InvalidSpec: the pod does not run.
    """
    query = [("container", pod.container), ("stdout", "true"), ("stderr", "false" if request.tty else "true")]
    query += [("stdin", str(request.stdin).lower()), ("tty", str(request.tty).lower())]
    query += [("command", part) for part in request.command]
    url = parse.urlsplit(f"{current.host}/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec")
    scheme = {"https": "wss", "http": "ws"}[url.scheme]
    target = parse.urlunsplit((scheme, url.netloc, url.path, parse.urlencode(query), ""))
    terminal = Terminal(_connect(current, target, min(connect, deadline - time.monotonic())), tty=request.tty)
    try:
        terminal.settle(min(_FAILS_WITHIN, max(0.0, deadline - time.monotonic())))
    except BaseException:
        terminal.close()
        raise
    return terminal


def _connect(current: session.Session, target: str, seconds: float) -> Any:
    import websocket

    if seconds <= 0:
        raise base.Timeout
    where = current.configuration
    tls: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if where.verify_ssl else ssl.CERT_NONE}
    named = {"ca_certs": where.ssl_ca_cert, "certfile": where.cert_file, "keyfile": where.key_file}
    named["server_hostname"] = where.tls_server_name
    tls.update({name: value for name, value in named.items() if value})
    if where.assert_hostname is not None:
        tls["check_hostname"] = where.assert_hostname
    proxy = parse.urlsplit(where.proxy) if where.proxy else None
    try:
        socket = websocket.create_connection(
            target,
            timeout=seconds,
            sslopt=tls,
            header=[f"{name}: {value}" for name, value in current.headers().items()],
            subprotocols=_PROTOCOLS,
            **({"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port} if proxy else {}),
        )
    except websocket.WebSocketBadStatusException as error:
        body = error.resp_body if isinstance(error.resp_body, bytes) else b""
        raise _refused(error.status_code, body) from error
    except Exception as error:
        raise _broken(error) from error
    socket.settimeout(_SEND)
    return socket


def _refused(status: int, body: bytes) -> base.DriverError:
    message = refusals.read(body).message
    if status in (400, 500) and re.search(
        "container not found|is not running|not created|terminated", message
    ):
        return base.InvalidSpec("The instance does not run.")
    return refusals.of_answer(status, body, "exec")


def _broken(error: Exception) -> base.DriverError:
    import websocket

    if isinstance(error, websocket.WebSocketTimeoutException):
        return base.Timeout("The cluster did not answer in time.")
    if isinstance(error, websocket.WebSocketException):
        return base.Unavailable("The connection to the program was lost.")
    return refusals.of_transport(error, "exec")
