"""Events as a page or as a feed: what all ``.../events`` have in common."""

import collections
import time
from collections.abc import Callable, Iterator

from apisvc import errors
from apisvc.schemas import events as schemas
from apisvc.service import events, services
from apisvc.web import operation, streams

#: What such an operation streams.
STREAMS = (streams.SSE, streams.NDJSON)
ERRORS = (errors.CursorExpired, errors.TooManyRequests)
DESCRIPTION = (
    "A page, newest last; or with `follow=true`, or when text/event-stream or application/x-ndjson is accepted, "
    "an endless feed of what comes after the cursor (`after` or Last-Event-ID; without one, from now on). "
    "A cursor that the service no longer remembers is answered with 410. A feed also bears bookmarks "
    "(`bookmark`, with nothing but a `revision`): cursors to go on from, when there is nothing for you."
)


class Feeds:
    """Answers operations whose query is an ``EventQuery``."""

    def __init__(self, service: services.Services) -> None:
        self._events = service.events
        self._heartbeat: float = service.conf.api.heartbeat

    def answer(self, call: operation.Call, scope: events.Scope) -> operation.Answer:
        """A page of the events of ``scope``, or the feed of them, as the client wants it."""
        asked: schemas.EventQuery = call.query
        form = streams.wanted(call.request) or (streams.NDJSON if asked.follow else None)
        if form is None:
            return self._page(call, scope)
        feed = self._events.feed(call.context, scope, streams.cursor(call.request, asked.after))
        items = Items(feed, self._heartbeat, node=call.context.admin)
        chunks = streams.feed(items, form, heartbeat=self._heartbeat, request_id=call.context.request_id)
        return operation.Answer(stream=Chunks(chunks, items), content_type=form)

    def _page(self, call: operation.Call, scope: events.Scope) -> operation.Answer:
        # NOTE: The cursor is taken first: a feed from there repeats, but loses nothing.
        cursor = self._events.cursor(call.context)
        found = self._events.list(call.context, scope, call.page)
        return operation.Answer(
            schemas.EventList(
                events=[schemas.view(item, node=call.context.admin) for item in found.items],
                cursor=cursor,
                next=call.next_url(found.marker),
            )
        )


class Items(Iterator[streams.Item | None]):
    """A feed, one by one. Bookmarks come first and now and then, so that no client's cursor grows too old."""

    def __init__(
        self,
        feed: events.Feed,
        pause: float,
        *,
        node: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``pause``: seconds between bookmarks. ``node``: events say which node they speak of."""
        self._feed = feed
        self._pause = pause
        self._node = node
        self._clock = clock
        self._waiting: collections.deque[streams.Item] = collections.deque()
        self._told = -1
        self._told_at = float("-inf")

    def __next__(self) -> streams.Item | None:
        if not self._waiting:
            progress = next(self._feed)
            self._waiting.extend(
                _item(progress, index, node=self._node) for index in range(len(progress.events))
            )
            quiet = self._clock() - self._told_at >= self._pause
            if not self._waiting and quiet and progress.revision > self._told:
                bookmark = schemas.Bookmark(revision=progress.revision)
                self._waiting.append(streams.Item(progress.revision, "bookmark", bookmark))
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        self._told, self._told_at = item.cursor, self._clock()
        return item

    def close(self) -> None:
        self._feed.close()


class Chunks(Iterator[bytes]):
    """The chunks of a feed; closing lets go of it also when no chunk was ever taken."""

    def __init__(self, chunks: Iterator[bytes], items: Items) -> None:
        self._chunks = chunks
        self._items = items

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._items.close()


def _item(progress: events.Progress, index: int, *, node: bool) -> streams.Item:
    event = progress.events[index]
    following = progress.events[index + 1 : index + 2]
    # A client that is cut off between two events of one commit must get the second one:
    # only the last one moves the cursor past the commit.
    done = not following or following[0].revision > event.revision
    return streams.Item(
        event.revision if done else event.revision - 1, event.value.action, schemas.view(event, node=node)
    )
