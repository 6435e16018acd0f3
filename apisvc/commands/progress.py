"""A bar that moves, for people only."""

import sys
import time
from types import TracebackType
from typing import TextIO

#: Seconds between two pictures.
INTERVAL = 0.1
WIDTH = 40


class Bar:
    """Called with what is done and the total (None: unknown); a context manager that clears the line.

    Draws nothing where nobody looks, as into a file.
    """

    def __init__(self, what: str, out: TextIO | None = None) -> None:
        self._what = what
        self._out = out or sys.stderr
        self._shown = self._out.isatty()
        self._next = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        if not self._shown or (time.monotonic() < self._next and done != total):
            return
        self._next = time.monotonic() + INTERVAL
        if total:
            full = WIDTH * done // total
            text = f"{self._what} [{'#' * full}{'.' * (WIDTH - full)}] {done}/{total}"
        else:
            text = f"{self._what} {done}"
        self._draw(text)

    def _draw(self, text: str) -> None:
        self._out.write(f"\r\x1b[K{text}")
        self._out.flush()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._draw("")
