"""A terminal inside an instance, as its client holds it."""

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import websockets
from websockets.sync import client as sync_client

from apisvc.client import errors, wire

SUBPROTOCOL = "v1.exec.apisvc"
STDIN, STDOUT, STDERR, END, SIZE = range(5)
#: Bytes of input in one message.
MAX_MESSAGE = 32768


class Terminal:
    """Iterate it for what the program writes: ``(1, b"to stdout")``, ``(2, b"to stderr")``.

    When that ends, ``exit_code`` says how the program did (None: the backend
    cannot say). Other threads may write meanwhile. A context manager; leaving
    it closes the connection, and a program that still runs is left to itself.
    """

    def __init__(self, connection: "sync_client.ClientConnection", url: str) -> None:
        self._connection = connection
        self._url = url
        self.exit_code: int | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        try:
            for message in self._connection:
                data = message.encode() if isinstance(message, str) else message
                channel = data[0] if data else None
                if channel in (STDOUT, STDERR):
                    yield channel, data[1:]
                elif channel == END:
                    self._end(json.loads(data[1:]))
                    return
        except (websockets.ConnectionClosed, OSError) as error:
            raise errors.Unreachable(f"{self._url} cut the connection: {error}.", sent=True) from error
        except ValueError as error:
            raise errors.BadAnswer(f"{self._url} ended the terminal with broken JSON: {error}.") from error
        raise errors.Unreachable(f"{self._url} closed the connection.", sent=True)

    def _end(self, last: Mapping[str, Any]) -> None:
        if "error" in last:
            problem = last["error"]
            raise errors.from_problem(int(problem.get("status", 500)), problem, None)
        self.exit_code = last.get("exit_code")

    def write(self, data: bytes) -> None:
        """Input for the program."""
        for at in range(0, len(data), MAX_MESSAGE):
            self._send(STDIN, data[at : at + MAX_MESSAGE])

    def end_input(self) -> None:
        """There is no more input."""
        self._send(STDIN, b"")

    def resize(self, columns: int, rows: int) -> None:
        self._send(SIZE, json.dumps({"columns": columns, "rows": rows}).encode())

    def _send(self, channel: int, data: bytes) -> None:
        try:
            self._connection.send(bytes([channel]) + data)
        except (websockets.ConnectionClosed, OSError) as error:
            raise errors.Unreachable(f"{self._url} cut the connection: {error}.", sent=True) from error

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def connect(
    base: str, target: str, headers: Mapping[str, str], timeout: float, cacert: str | None
) -> Terminal:
    """Open the terminal at ``target`` (path and query) of the service at ``base``.

    :raises ApiError: the service refuses; ClientError: it cannot be reached, or it is another one.
    """
    shown = base + target.partition("?")[0]
    options: dict[str, Any] = {}
    if base.startswith("https:"):
        options["ssl"] = ssl.create_default_context(cafile=cacert)
    try:
        connection = sync_client.connect(
            "ws" + base.removeprefix("http") + target,
            additional_headers=dict(headers),
            subprotocols=[websockets.Subprotocol(SUBPROTOCOL)],
            open_timeout=timeout,
            close_timeout=2.0,
            compression=None,
            max_size=None,
            **options,
        )
    except websockets.InvalidStatus as error:
        answer = error.response
        raise wire.refusal(
            shown, answer.status_code, answer.reason_phrase, answer.headers, bytes(answer.body or b"")
        ) from None
    except websockets.InvalidHandshake as error:
        raise errors.BadAnswer(f"{shown} is no WebSocket of an apisvc: {error}.") from error
    except TimeoutError as error:
        raise errors.DeadlineExceeded(f"{base} did not answer in time.") from error
    except (OSError, websockets.WebSocketException) as error:
        raise errors.Unreachable(f"Cannot reach {base}: {error}.", sent=False) from error
    return Terminal(connection, base)
