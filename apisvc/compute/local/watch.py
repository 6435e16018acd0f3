"""How supervisors tell that something changed: a FIFO for each who listens, in ``.watch`` of the owner's folder.

A supervisor writes its instance's id to each of them (``files.notify``). One
that is full gets a note beside it, ``<name>.gap``: something was missed.
"""

import os
import secrets
import select
import threading
from collections.abc import Iterator

_LOOK = 0.2  # seconds between looks at ``stop``


def listen(parent: str, stop: threading.Event) -> Iterator[str]:
    """Instance ids that may have changed; ``""`` at first and after a gap."""
    folder = os.path.join(parent, ".watch")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, f"{os.getpid()}-{secrets.token_hex(8)}")
    half = f"{path}.new"
    os.mkfifo(half, 0o600)
    # Open before it can be found: a writer takes a FIFO without a reader away.
    fd = os.open(half, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.rename(half, path)
        yield ""
        yield from _read(fd, f"{path}.gap", stop)
    finally:
        os.close(fd)
        for name in (half, path, f"{path}.gap"):
            _remove(name)


def _read(fd: int, gap: str, stop: threading.Event) -> Iterator[str]:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    rest = b""
    while not stop.is_set():
        if not poll.poll(_LOOK * 1000):
            continue
        *lines, rest = (rest + os.read(fd, 65536)).split(b"\n")
        missed = _remove(gap)
        yield from dict.fromkeys(line.decode() for line in lines)
        if missed:
            yield ""


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
