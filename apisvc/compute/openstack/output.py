"""What a server shows: its console's text, and where its console can be opened."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, servers

Phase = base.Phase
#: Seconds between two questions while the output is followed, and between two signs of life.
_EVERY, _SIGN = 1.0, 0.8
#: Seconds that one of them may take.
_PATIENCE = 20.0
#: Bytes of output by which the place of the last look is found again.
_OVERLAP = 4096
_AT_REST = frozenset({Phase.STOPPED, Phase.EXITED, Phase.FAILED, Phase.DELETING})


class Output:
    def __init__(
        self, clouds: connections.Connections, found: servers.Servers, call: Callable[..., Any]
    ) -> None:
        """``call(deadline, do)`` does ``do()`` by the rules of the contract."""
        self._clouds = clouds
        self._servers = found
        self._call = call

    def read(self, instance_id: str, request: base.LogRequest, deadline: float) -> Iterator[bytes]:
        if request.since is not None or request.previous:
            raise base.InvalidSpec("The cloud does not know when, or in which run, a line was written.")
        server = self._call(deadline, lambda: self._must(instance_id))
        text = self._call(deadline, lambda: self._text(server))
        return self._chunks(server, text, request)

    def _chunks(self, server: Any, text: bytes, request: base.LogRequest) -> Iterator[bytes]:
        if first := last_lines(text, request.tail):
            yield first
        if not request.follow:
            return
        yield from _alive(lambda stop: self._follow(server, text, stop))

    def _follow(self, server: Any, seen: bytes, stop: threading.Event) -> Iterator[bytes]:
        """What is written after ``seen``, until the server rests or is gone."""
        while not stop.wait(_EVERY):
            now = self._soon(lambda: self._servers.reload(server))
            if now is None or (phase := self._servers.phase(now)) in _AT_REST:
                return
            if phase is not Phase.UNKNOWN:
                text = self._soon(lambda: self._text(server))
                yield newer(seen, text)
                seen = text

    def _soon(self, do: Callable[[], Any]) -> Any:
        return self._call(time.monotonic() + _PATIENCE, do)

    def _text(self, server: Any) -> bytes:
        """All the output that the cloud keeps."""
        from openstack import exceptions

        try:
            answer = self._clouds.home().compute.get_server_console_output(server.id)
        except (exceptions.ConflictException, exceptions.NotFoundException):
            return b""  # it has none yet, or none any more
        return str(answer.get("output") or "").encode()

    def _must(self, instance_id: str) -> Any:
        if (server := self._servers.find(instance_id)) is None:
            raise base.NotFound("There is no such instance.")
        return server

    def console(self, instance_id: str, kinds: Sequence[str]) -> base.ConsoleAccess:
        """The first kind that the cloud has."""
        from openstack import exceptions

        server = self._must(instance_id)
        if self._servers.phase(server) is not Phase.RUNNING:
            raise base.InvalidSpec("It does not run, so there is no console now.")
        for kind in kinds:
            try:
                found = self._clouds.home().compute.create_console(server.id, console_type=kind)
            except (exceptions.BadRequestException, exceptions.NotFoundException):
                continue  # not of this kind
            except exceptions.HttpException as error:
                if error.status_code == 501:
                    continue
                raise
            if found and found.get("url"):
                return base.ConsoleAccess(kind, found["url"])
        raise base.InvalidSpec(f"The cloud has no console of the kinds {', '.join(kinds)}.")


def _alive(feed: Callable[[threading.Event], Iterator[bytes]]) -> Iterator[bytes]:
    """What ``feed`` yields, from a thread of its own; ``b""`` in between, however long the cloud takes."""
    box: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
    stop = threading.Event()

    def run() -> None:
        try:
            for chunk in feed(stop):
                box.put(chunk)
            box.put(None)
        except Exception as error:
            box.put(error)

    threading.Thread(target=run, name="console", daemon=True).start()
    try:
        while True:
            try:
                item = box.get(timeout=_SIGN)
            except queue.Empty:
                yield b""
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()


def last_lines(text: bytes, count: int | None) -> bytes:
    """The last ``count`` lines; None: all."""
    if count is None:
        return text
    lines = text.splitlines(keepends=True)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


def newer(before: bytes, now: bytes) -> bytes:
    """What of ``now`` came after ``before``, though the cloud may have let go of the beginning."""
    if now.startswith(before):
        return now[len(before) :]
    mark = before[-_OVERLAP:]
    place = now.rfind(mark)
    if mark and place >= 0:
        return now[place + len(mark) :]
    return now  # it began anew, or more was written than is kept
