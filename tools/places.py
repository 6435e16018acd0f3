"""What the labs share: the cache that outlives them, locks, ports, and waiting."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any


class LabError(Exception):
    """What went wrong, in words for the person at the terminal."""


def cache(kind: str) -> pathlib.Path:
    """The folder of everything of this kind of lab that is kept between runs."""
    if chosen := os.environ.get("APISVC_CACHE"):
        return pathlib.Path(chosen).absolute() / kind
    base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(base).absolute() / "apisvc" / kind


def key(*parts: bytes) -> str:
    """Of content: what is made of it is kept under it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def locked(path: pathlib.Path, waiting: str = "") -> Iterator[None]:
    """Alone among processes, for as long as they live; says ``waiting`` when it has to wait for another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                print(waiting, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Below those that the system hands out itself, for they must still be free when a service is restarted."""
    found: list[int] = []
    for port in random.sample(range(16000, 32000), 4000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
            if len(found) == count:
                return found
    raise LabError("there are no free ports between 16000 and 32000")


def wait(what: str, condition: Callable[[], Any], seconds: float) -> Any:
    """The first true value of ``condition``; LabError says ``what`` did not come."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise LabError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
