"""The files that a supervisor and the driver have between them, and the FIFOs by which they wake each other.

The standard library only: a supervisor starts with nothing else on its path.
"""

import errno
import json
import os
from collections.abc import Mapping
from typing import Any


def read(path: str) -> dict[str, Any] | None:
    """The JSON object in ``path``; None when there is none or it is not whole."""
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(path: str, value: Mapping[str, Any]) -> None:
    """Replace ``path``; readers see the old or the new, whole."""
    fresh = f"{path}.{os.getpid()}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        json.dump(dict(value), file)
    os.replace(fresh, path)


def poke(path: str, message: bytes) -> bool:
    """Write ``message`` to the FIFO ``path``; False when nobody has it open. BlockingIOError when full."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR):
            return False
        raise
    try:
        os.write(fd, message)
    except BrokenPipeError:  # closed in this moment
        return False
    finally:
        os.close(fd)
    return True


def wake(folder: str) -> bool:
    """Make the folder's supervisor look at its wish. False when none listens."""
    try:
        return poke(os.path.join(folder, "wake"), b"!")
    except BlockingIOError:  # full: it has been woken often enough
        return True


def notify(folder: str) -> None:
    """Tell all who watch (see watch.py) that the instance of ``folder`` may have changed."""
    parent, instance_id = os.path.split(folder)
    watchers = os.path.join(parent, ".watch")
    try:
        names = os.listdir(watchers)
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(watchers, name)
        if "." in name:  # half made, or the note of a gap
            continue
        try:
            if not poke(path, instance_id.encode() + b"\n"):
                os.unlink(path)  # its reader died
        except BlockingIOError:
            os.close(os.open(f"{path}.gap", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError:
            continue  # went away meanwhile; or it is not ours to write to


class Log:
    """``log`` and, before it, ``log.1``: together at most ``limit`` bytes."""

    def __init__(self, folder: str, limit: int) -> None:
        self._path = os.path.join(folder, "log")
        self._half = max(1024, limit // 2)
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        """Add ``data``. What a full disk does not take is lost; the command is not held up."""
        try:
            for at in range(0, len(data), self._half):
                part = data[at : at + self._half]
                if self._size + len(part) > self._half:
                    os.replace(self._path, f"{self._path}.1")
                    os.close(self._fd)
                    self._open()
                self._size += os.write(self._fd, part)
        except OSError:
            return

    def close(self) -> None:
        os.close(self._fd)
