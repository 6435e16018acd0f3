"""Calls with a deadline, repeated where that is safe."""

import contextlib
import json
import os
import random
import socket
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from apisvc.client import errors, wire

if TYPE_CHECKING:
    from apisvc.client import terminals

#: An answer larger than this is not one of apisvc's.
MAX_ANSWER = 64 * 1024 * 1024
#: A server that does not accept a connection within this is not there.
CONNECT_TIMEOUT = 10.0
#: Longest pause between two attempts that the client chooses by itself.
MAX_PAUSE = 2.0

#: POST is among them because each carries an Idempotency-Key.
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "POST"})
_TRANSIENT = (errors.ServiceUnavailable, errors.TooManyRequests)


class _Token(requests.auth.AuthBase):
    """Sends the token. Being ``session.auth`` it also keeps ~/.netrc out of it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["X-Auth-Token"] = self._token
        return request


class _Connection(urllib3.connection.HTTPConnection):
    """Remembers its socket.

    The standard library lets go of it as soon as the server says that it will
    close, which is while an HTTP/1.0 stream is still being read.
    """

    kept: Any = None

    def connect(self) -> None:
        super().connect()
        self.kept = self.sock


class _TlsConnection(urllib3.connection.HTTPSConnection):
    """The same over TLS."""

    kept: Any = None

    def connect(self) -> None:
        super().connect()
        self.kept = self.sock


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(requests.adapters.HTTPAdapter):
    """A pool whose connections notice a dead peer, also while a quiet stream is open."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        options = [*urllib3.connection.HTTPConnection.default_socket_options]
        options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                options.append((socket.IPPROTO_TCP, getattr(socket, name), seconds))
        super().init_poolmanager(*args, socket_options=options, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class Transport:
    """One service, one token, a pool of connections. Safe to use from many threads.

    ``timeout``: seconds for a whole call, all attempts and pauses included.
    ``attempts``: how often at most a call is sent.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        attempts: int = 5,
        cacert: str | None = None,
        agent: str = "apisvc-client",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = wire.base_url(url)
        if timeout <= 0:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout}")
        if token and not (token.isascii() and token.isprintable()):
            raise ValueError("the token has characters that no token has")
        if cacert and not os.path.exists(cacert):
            raise ValueError(f"there is no file {cacert} with certificates")
        self.timeout = timeout
        self._token = token
        self._cacert = cacert
        self._attempts = max(1, attempts)
        self._clock = clock
        self._sleep = sleep
        self._session = requests.Session()
        self._session.auth = _Token(token)
        self._session.headers.update({"Accept": "application/json", "User-Agent": agent})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_connections=4, pool_maxsize=32))

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        once: bool = False,
    ) -> wire.Answer:
        """Send a request until it is answered, its deadline passes or repeating it is not safe.

        GET, HEAD, PUT and DELETE are repeated when the connection fails or the
        answer is 429, 502, 503 or 504; POST too, because each carries an
        Idempotency-Key, the same in every attempt. PATCH is repeated only when
        it cannot have arrived, or was turned away with 429; so is what is sent
        ``once``: a POST whose answer the service keeps nowhere.
        """
        headers = {}
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        if method == "POST" and not once:
            headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        deadline = self._clock() + (timeout or self.timeout)

        def attempt() -> wire.Answer:
            with self._open(method, path, query, data, headers, deadline) as response:
                return wire.decode(response, self._read(response, deadline))

        answer: wire.Answer = self._repeat(method, attempt, deadline, once=once)
        return answer

    @contextlib.contextmanager
    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        accept: str,
        idle: float | None,
        until: float | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Open a stream: a context giving its chunks as they come.

        ``idle``: seconds without a byte after which it counts as cut; None:
        only a dead peer does. ``until``: an instant of the client's clock. Past
        either it raises :class:`~apisvc.client.errors.DeadlineExceeded`.
        """
        deadline = self._clock() + self.timeout
        if until is not None:
            deadline = min(deadline, until)

        def attempt() -> requests.Response:
            response = self._open("GET", path, query, None, {"Accept": accept}, deadline)
            if response.status_code == 200:
                return response
            with response:
                wire.decode(response, self._read(response, deadline))
            raise errors.BadAnswer(f"{self.url} answered {response.status_code} where a stream was due.")

        with self._repeat("GET", attempt, deadline) as response:
            yield self._chunks(response, lambda: self._patience(idle, until))

    def _patience(self, idle: float | None, until: float | None) -> float | None:
        """Seconds that the next read of a stream may take."""
        left = None if until is None else max(0.001, until - self._clock())
        return min((seconds for seconds in (idle, left) if seconds is not None), default=None)

    def connect(self, path: str, query: Mapping[str, Any]) -> "terminals.Terminal":
        """Open the terminal at ``path``; once."""
        from apisvc.client import terminals  # PERF: few need it

        target = f"{path}?{urllib.parse.urlencode(wire.query(query))}"
        headers = {"X-Auth-Token": self._token} if self._token else {}
        return terminals.connect(self.url, target, headers, self.timeout, self._cacert)

    def _repeat(self, method: str, attempt: Callable[[], Any], deadline: float, *, once: bool = False) -> Any:
        lost = False
        for number in range(1, self._attempts + 1):
            try:
                return attempt()
            except errors.ClientError as error:
                if lost and method == "DELETE" and isinstance(error, errors.NotFound):
                    # An earlier attempt, whose answer was lost, has done it.
                    return wire.Answer(204, None, {})
                pause = self._pause(method in _REPEATABLE and not once, error, number)
                if pause is None or number == self._attempts or self._clock() + pause >= deadline:
                    raise
                lost = lost or (isinstance(error, errors.Unreachable) and error.sent)
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, repeatable: bool, error: errors.ClientError, number: int) -> float | None:
        """Seconds until the next attempt after ``error``; None: it is not to be repeated."""
        own: float = min(MAX_PAUSE, 0.05 * 2**number) * random.uniform(0.5, 1.0)
        if isinstance(error, errors.Unreachable):
            safe = repeatable or not error.sent
            return own if safe and not error.permanent else None
        if not isinstance(error, errors.ApiError):
            return None
        wait = max(own, error.retry_after or 0.0)
        transient = _TRANSIENT if repeatable else errors.TooManyRequests
        return wait if isinstance(error, transient) else None

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        data: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> requests.Response:
        left = deadline - self._clock()
        if left <= 0:
            raise errors.DeadlineExceeded(f"{self.url} did not answer in time.")
        try:
            return self._session.request(
                method,
                self.url + path,
                params=wire.query(query or {}),
                data=data,
                headers=headers,
                timeout=(min(left, CONNECT_TIMEOUT), left),
                stream=True,
                allow_redirects=False,
                # With the request: what the session has yields to REQUESTS_CA_BUNDLE.
                verify=self._cacert,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise wire.unreachable(error, self.url) from error

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """The body, at most MAX_ANSWER of it, and not past ``deadline``."""
        parts = []
        size = 0
        for chunk in self._chunks(response, lambda: self._patience(None, deadline)):
            parts.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER:
                raise errors.BadAnswer(f"{self.url} answered more than {MAX_ANSWER} bytes.")
            if self._clock() > deadline:
                raise errors.DeadlineExceeded(f"{self.url} did not finish its answer in time.")
        return b"".join(parts)

    def _chunks(self, response: requests.Response, patience: Callable[[], float | None]) -> Iterator[bytes]:
        # None behind a proxy: the timeout that the call began with stays in force.
        sock = getattr(response.raw.connection, "kept", None)
        try:
            while True:
                if sock is not None and sock.fileno() >= 0:  # else all of the answer has come
                    sock.settimeout(patience())
                # read1 gives what has come; read would wait for a full buffer.
                chunk = response.raw.read1(65536, decode_content=True)
                if not chunk:
                    return
                yield chunk
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise wire.unreachable(error, self.url) from error
