"""Event feeds that go on where they were cut."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apisvc.client import errors, transport

NDJSON = "application/x-ndjson"

#: Seconds without even a heartbeat after which a feed counts as cut.
IDLE = 60.0
#: Longest pause before a feed is opened again.
MAX_PAUSE = 10.0
#: A line longer than this is no event.
MAX_LINE = 4 * 1024 * 1024

Dict = dict[str, Any]


def follow(
    wire: transport.Transport,
    path: str,
    after: int | None,
    *,
    until: float | None,
    filters: Mapping[str, Any],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Dict]:
    """Every event of the feed at ``path`` after the revision ``after``, each once, in order.

    None is from now on. When the connection is cut or the service away for a
    while it goes on at the last event. Ends only by an error:
    :class:`~apisvc.client.errors.CursorExpired` when the feed no longer
    reaches back that far (list what you mirror again, and follow from there),
    a refusal, or DeadlineExceeded at the instant ``until``.
    """
    cursor = after
    seen: set[str] = set()
    pause = 0.0
    while True:
        try:
            query = {**filters, "follow": True, "after": cursor}
            with wire.stream(path, query=query, accept=NDJSON, idle=IDLE, until=until) as chunks:
                for item in lines(chunks):
                    pause = 0.0
                    event = item["data"]
                    if "id" not in event:  # a bookmark: nothing for us up to here
                        cursor, seen = _moved(cursor, item["cursor"], seen)
                    elif event["id"] not in seen:
                        # NOTE: Events of one commit share a revision, and the cut may
                        # come between them: resume before it and pass over those seen.
                        cursor, seen = _moved(cursor, item["cursor"] - 1, seen)
                        seen.add(event["id"])
                        yield event
        except (errors.Unreachable, errors.ServiceUnavailable, errors.TooManyRequests) as error:
            if isinstance(error, errors.Unreachable) and error.permanent:
                raise
            pause = max(pause, getattr(error, "retry_after", None) or 0.0)
        except errors.DeadlineExceeded:
            if until is not None and clock() >= until:
                raise
        if until is not None and clock() + pause >= until:
            raise errors.DeadlineExceeded(f"{wire.url} could not be followed until the end.")
        sleep(pause)
        pause = min(MAX_PAUSE, max(0.2, pause * 2))


def _moved(cursor: int | None, to: int, seen: set[str]) -> tuple[int, set[str]]:
    return (to, set()) if cursor is None or to > cursor else (cursor, seen)


def lines(chunks: Iterator[bytes]) -> Iterator[Dict]:
    """The entries ``{cursor, kind, data}`` of an NDJSON feed; the error that ends it is raised.

    An empty line is a heartbeat. A last line without its end was cut off and is dropped.
    """
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE:
            raise errors.BadAnswer("The feed sent a line without end.")
        for line in whole:
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except ValueError:
                raise errors.BadAnswer("The feed sent a line that is not JSON.") from None
            if not isinstance(item, dict) or not ("error" in item or "data" in item):
                raise errors.BadAnswer("The feed sent a line that is no entry of a feed.")
            if "error" in item:
                problem = item["error"]
                raise errors.from_problem(problem.get("status", 500), problem)
            yield item
