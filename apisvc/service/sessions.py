"""A program that runs inside an instance, as the API holds it: bounded, and with errors of our own."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from apisvc import errors
from apisvc.compute import base as compute

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes of input that are given at a time.
_PIECE = 16384
#: Seconds that one look for output takes at most.
_LOOK = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """What a command did. ``exit_code`` None: the backend cannot say, or (``ended`` False) it still runs."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    #: Whether there was more output than was kept.
    truncated: bool
    ended: bool


class Session:
    """A driver's terminal. Its calls raise domain errors only."""

    def __init__(self, backend: str, terminal: compute.Terminal) -> None:
        self.backend = backend
        self._terminal = terminal
        self._lock = threading.Lock()
        self._closed = False

    def read(self, timeout: float) -> tuple[int, bytes] | None:
        """As :meth:`apisvc.compute.capabilities.Terminal.read`."""
        return self._translate(lambda: self._terminal.read(timeout))

    def write(self, data: bytes) -> None:
        """Give it input; ``b""``: there is no more."""
        self._translate(lambda: self._terminal.write(data))

    def resize(self, columns: int, rows: int) -> None:
        self._translate(lambda: self._terminal.resize(columns, rows))

    @property
    def exit_code(self) -> int | None:
        return self._translate(lambda: self._terminal.exit_code)

    def close(self) -> None:
        """Let go of it. Once, whoever calls it; it raises nothing."""
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        try:
            self._terminal.close()
        except Exception:
            LOG.exception("A terminal of backend %s cannot be closed", self.backend)

    def _translate(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except compute.DriverError as error:
            raise translated(self.backend, error) from error
        except Exception as error:
            LOG.exception("A terminal of backend %s raised what it may not raise", self.backend)
            raise translated(self.backend, compute.DriverBug()) from error


def run(session: Session, stdin: bytes, *, timeout: float, most: int) -> Ran:
    """Give it ``stdin`` and wait for its end, at most ``timeout`` seconds; closes it.

    ``most``: bytes kept of each of its outputs; the rest is read and dropped.
    """
    end = time.monotonic() + timeout
    kept: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
    truncated = False
    try:
        if stdin:
            # A program that does not read its input must not keep us from its output.
            threading.Thread(target=_feed, args=(session, stdin), name="exec input", daemon=True).start()
        while (left := end - time.monotonic()) > 0:
            piece = session.read(min(left, _LOOK))
            if piece is None:
                return Ran(session.exit_code, bytes(kept[1]), bytes(kept[2]), truncated, True)
            stream, data = piece
            room = most - len(kept[stream])
            kept[stream] += data[:room]
            truncated = truncated or len(data) > room
        return Ran(None, bytes(kept[1]), bytes(kept[2]), truncated, False)
    finally:
        session.close()


def _feed(session: Session, stdin: bytes) -> None:
    try:
        for at in range(0, len(stdin), _PIECE):
            session.write(stdin[at : at + _PIECE])
        session.write(b"")
    except errors.ApisvcError as error:
        LOG.debug("Input of a command was not taken: %s", error.detail)


def translated(
    name: str, error: compute.DriverError, refused: type[errors.Conflict] = errors.Unsupported
) -> errors.ApisvcError:
    """What a caller of the API is told of a driver's error; ``refused``: when the backend refuses."""
    if isinstance(error, compute.NotFound):
        return errors.NotFound(error.message)
    if isinstance(error, compute.InvalidSpec):
        return refused(f"Backend {name!r} refuses this: {error.message}")
    if isinstance(error, compute.DriverBug):
        return errors.BackendUnavailable(
            f"Backend {name!r} met an error that its driver does not know; it is in the log."
        )
    return errors.BackendUnavailable(
        f"Backend {name!r}: {error.message}", retry_after=error.retry_after or 1.0
    )
