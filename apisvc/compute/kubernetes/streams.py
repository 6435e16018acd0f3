"""Responses that go on: a thread reads each, so that whoever waits for one can also wait for something else."""

import contextlib
import queue
import threading
from typing import TypeAlias

import urllib3

from apisvc.compute.kubernetes import refusals

#: What a reader has: the stream, and bytes, or None at its end, or what broke it.
Item: TypeAlias = tuple["Stream", bytes | Exception | None]
Sink: TypeAlias = queue.Queue[Item]

#: Chunks that wait for somebody; then the reader waits, and so does the server.
_WAITING = 64
_CHUNK = 1 << 16


class Stream:
    """A response being read. To be closed."""

    def __init__(self, response: urllib3.BaseHTTPResponse, sink: Sink | None = None) -> None:
        """``sink``: where the chunks go, if somebody waits for several streams at once."""
        self._response = response
        self._sink: Sink = sink if sink is not None else queue.Queue(_WAITING)
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="kubernetes stream", daemon=True).start()

    def read(self, timeout: float) -> bytes | None:
        """The next chunk; ``b""`` when none came within ``timeout`` seconds, None at the end.

        :raises DriverError: it broke.
        """
        try:
            _, item = self._sink.get(timeout=timeout)
        except queue.Empty:
            return b""
        if isinstance(item, Exception):
            raise refusals.of_transport(item, "a stream") from item
        return item

    def close(self) -> None:
        """Let go of the connection; the reader ends."""
        self._closed.set()
        # The reader may be within a read: the socket ends under it.
        with contextlib.suppress(Exception):
            self._response.shutdown()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                chunk = self._response.read1(_CHUNK)
                self._put(chunk or None)
                if not chunk:
                    break
        except Exception as error:
            self._put(error)
        finally:
            with contextlib.suppress(Exception):
                self._response.close()

    def _put(self, item: bytes | Exception | None) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._sink.put((self, item), timeout=0.5)
                return


def wait_for_ever(response: urllib3.BaseHTTPResponse) -> None:
    """Take the time limit for the answer's beginning off its socket."""
    connection = getattr(response, "connection", None) or getattr(response, "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(None)
