"""Reading the log of an instance while its supervisor writes and rotates it."""

import os
import time
from collections.abc import Callable, Iterator

_CHUNK = 65536
_LOOK = 0.05  # seconds between looks for more
_HEARTBEAT = 0.5


def read(folder: str, tail: int | None) -> Iterator[bytes]:
    """What is there, oldest first."""
    reader = _Reader(folder, tail)
    try:
        yield from reader.more()
    finally:
        reader.close()


def follow(folder: str, tail: int | None, ended: Callable[[], bool]) -> Iterator[bytes]:
    """What is there and what comes, until ``ended()``; ``b""`` while nothing does."""
    reader = _Reader(folder, tail)
    spoke = time.monotonic()
    try:
        while True:
            last = ended()  # asked before reading: what was written until then is read
            for chunk in reader.more():
                yield chunk
                spoke = time.monotonic()
            if last:
                return
            if time.monotonic() - spoke >= _HEARTBEAT:
                yield b""
                spoke = time.monotonic()
            time.sleep(_LOOK)
    finally:
        reader.close()


class _Reader:
    def __init__(self, folder: str, tail: int | None) -> None:
        self._current = os.path.join(folder, "log")
        self._previous = f"{self._current}.1"
        self._files = [file for file in map(_open, (self._previous, self._current)) if file is not None]
        if tail is not None:
            self._skip_to(tail)

    def more(self) -> Iterator[bytes]:
        """What was not read yet. After a rotation: the rest of the old file, then the new one."""
        while True:
            while self._files:
                while chunk := os.read(self._files[0], _CHUNK):
                    yield chunk
                if len(self._files) == 1:
                    break
                os.close(self._files.pop(0))
            if not self._rotated():
                return

    def _rotated(self) -> bool:
        fresh = _open(self._current)
        if fresh is None:
            return False
        if self._files and os.path.samestat(os.fstat(fresh), os.fstat(self._files[0])):
            os.close(fresh)
            return False
        self._files.append(fresh)
        return True

    def _skip_to(self, tail: int) -> None:
        """Place the files so that their last ``tail`` lines are next."""
        wanted = tail
        for index in range(len(self._files) - 1, -1, -1):
            at, found = _last_lines(self._files[index], wanted)
            os.lseek(self._files[index], at, os.SEEK_SET)
            wanted -= found
            if wanted <= 0:
                for fd in self._files[:index]:
                    os.close(fd)
                del self._files[:index]
                return

    def close(self) -> None:
        for fd in self._files:
            os.close(fd)
        self._files.clear()


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _last_lines(fd: int, count: int) -> tuple[int, int]:
    """Where the last ``count`` lines of ``fd`` begin, and how many there are."""
    end = at = os.fstat(fd).st_size
    found = 0
    if count <= 0:
        return end, 0
    while at > 0:
        start = max(0, at - _CHUNK)
        block = os.pread(fd, at - start, start)
        index = len(block)
        while (index := block.rfind(b"\n", 0, index)) >= 0:
            if start + index == end - 1:
                continue  # the end of the last line, not of the one before
            found += 1
            if found == count:
                return start + index + 1, found
        at = start
    return 0, found + (1 if end else 0)
