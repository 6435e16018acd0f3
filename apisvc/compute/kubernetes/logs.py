"""What an instance printed, from the kubelet by way of the API server.

Every line is asked for with its time, which is taken off again: so ``since`` is
exact (Kubernetes itself counts whole seconds), and following goes on after a
restart or a cut without a line lost or told twice.
"""

import contextlib
import datetime
import re
import time
from collections.abc import Callable, Iterator

from apisvc.compute import base
from apisvc.compute.kubernetes import client, refusals, seen, sight, streams

#: Seconds after which somebody who waits is given a sign of life.
_HEARTBEAT = 0.5
#: Seconds between looks at an instance that prints nothing because it does not run.
_LOOK = 0.5

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) ?")
_NOT_YET = re.compile(r"waiting to start|is not available|ContainerCreating|PodInitializing|not been started")
#: What a kubelet says in place of the output, as if it were output, when it cannot find it.
_UNREADABLE = b"unable to retrieve container logs"
_NO_PREVIOUS = re.compile(r"previous terminated container .* not found")


class Output:
    """The output of one instance, as one request asks for it."""

    def __init__(
        self, api: client.Client, look: Callable[[float], sight.Sight], request: base.LogRequest, go_on: float
    ) -> None:
        """``look(deadline)``: what there is of the instance now. ``go_on``: seconds for what follows the first chunk."""
        self._api = api
        self._go_on = go_on
        self._look = look
        self._request = request
        #: The time of the last line told, in nanoseconds since the epoch, and the lines of that very time.
        self._last = -1 if request.since is None else int(request.since * 1e9) - 1
        self._told: set[bytes] = set()

    def read(self, deadline: float) -> Iterator[bytes]:
        """Chunks, oldest first; the first by ``deadline``.

        :raises NotFound: there is no instance, or no run before the present one.
        """
        found = self._look(deadline)
        if not found:
            raise base.NotFound("There is no such instance.")
        tail = self._request.tail
        if self._request.previous:
            stream = self._open(found.pod, tail, deadline) if found.pod else None
            if stream is None:
                raise base.NotFound("There is no output of a run before the present one.")
            yield from self._lines(stream, deadline)
            return
        while True:
            stream = self._open(found.pod, tail, deadline) if found.pod else None
            if stream is not None and not self._request.follow:
                yield from self._lines(stream, deadline)
            if not self._request.follow:
                return
            if stream is not None:
                tail = None  # from now on, what is later than the last line
                # One that is cut is opened again, if the API server is there.
                with contextlib.suppress(base.Unavailable, base.Timeout):
                    yield from self._lines(stream, None)
            yield b""
            deadline = time.monotonic() + self._go_on
            before, found = found, self._look(deadline)
            if self._over(before, found):
                return
            yield from _pause()

    def _over(self, before: sight.Sight, found: sight.Sight) -> bool:
        observed = found.observed()
        if observed is None or observed.phase in (base.Phase.STOPPED, base.Phase.EXITED, base.Phase.FAILED):
            # What it printed between the last chunk and its end has been read only if it had ended before.
            return not found.pod or before.observed() == observed
        return False

    def _open(self, pod: seen.Pod, tail: int | None, deadline: float) -> streams.Stream | None:
        """The stream of the pod's output; None when it has none (yet)."""
        query: dict[str, str | int] = {"container": pod.container, "timestamps": "true"}
        if tail is not None:
            query["tailLines"] = tail
        if self._last >= 0:
            query["sinceTime"] = _rfc3339(self._last // 10**9)
        if self._request.follow:
            query["follow"] = "true"
        if self._request.previous:
            query["previous"] = "true"
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        try:
            return self._api.open(path, deadline=deadline, query=query)
        except client.Refused as refused:
            error, message = refused.error, refusals.read(refused.body).message
            gone = isinstance(error, base.NotFound)
            if gone or (refused.status == 400 and (_NOT_YET.search(message) or _NO_PREVIOUS.search(message))):
                return None
            raise error from None

    def _lines(self, stream: streams.Stream, deadline: float | None) -> Iterator[bytes]:
        """The stream's lines without their times, in chunks.

        ``deadline``: until when there must be one (later ones take a while, too); None: it may be silent for
        ever, and ``b""`` is told meanwhile.
        """
        rest = b""
        try:
            while (chunk := stream.read(_HEARTBEAT)) is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                if told := b"".join(self._plain(line, b"\n") for line in lines):
                    yield told
                elif deadline is None:
                    yield b""
                if deadline is not None and chunk:
                    deadline = max(deadline, time.monotonic() + self._go_on)
                elif deadline is not None and time.monotonic() >= deadline:
                    raise base.Timeout
            if told := self._plain(rest, b""):
                yield told
        finally:
            stream.close()

    def _plain(self, line: bytes, end: bytes) -> bytes:
        """The line as it was printed; nothing of one that was told or is too old."""
        match = _STAMP.match(line)
        if match is None:
            # Without a time it is the kubelet's own word.
            if not line.startswith(_UNREADABLE):
                return b""
            if self._request.previous:
                raise base.NotFound("The output of the run before is gone.")
            raise base.Unavailable("The instance's node cannot read the output.", retry_after=1.0)
        at = _nanoseconds(match)
        if at < self._last or (at == self._last and line in self._told):
            return b""
        if at > self._last:
            self._last, self._told = at, set()
        self._told.add(line)
        return line[match.end() :] + end


def _pause() -> Iterator[bytes]:
    end = time.monotonic() + _LOOK
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _HEARTBEAT))
    yield b""


def _nanoseconds(match: re.Match[bytes]) -> int:
    whole, fraction, zone = (part.decode() if part else "" for part in match.groups())
    at = datetime.datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
    return int(at.timestamp()) * 10**9 + int((fraction + "000000000")[:9])


def _rfc3339(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
