import fcntl
import resource
import socket

import falcon
import fixtures
import testtools
from falcon import testing

from apisvc import errors
from apisvc.web import streams
from tests.unit.web import harness


def _request(**env):
    return falcon.Request({**testing.create_environ(), **env})


class _Chunks:
    """An iterator that notes being closed."""

    def __init__(self, *chunks):
        self.closed = 0
        self._chunks = iter(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        chunk = next(self._chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self):
        self.closed += 1


class Counting(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.seen = []
        self.useFixture(fixtures.FakeLogger())
        self.streams = streams.Streams(3, 2, self.seen.append)

    def admit(self, chunks, tenant_id="a", **env):
        return self.streams.admit(chunks, tenant_id, _request(**env))

    def test_there_are_only_so_many(self):
        opened = [self.admit(_Chunks()), self.admit(_Chunks())]
        refused = _Chunks()
        error = self.assertRaises(errors.TooManyRequests, self.admit, refused)
        self.assertEqual((429, 5, 1), (error.status, error.retry_after, refused.closed))
        self.admit(_Chunks(), "b")
        self.assertRaises(errors.TooManyRequests, self.admit, _Chunks(), "c")
        opened[0].close()
        opened[0].close()
        self.admit(_Chunks(), "c")
        self.assertRaises(errors.TooManyRequests, self.admit, _Chunks(), "d")
        self.assertEqual([1, 2, 3, 2, 3], self.seen)

    def test_a_stream_ends_with_its_source(self):
        chunks = _Chunks(b"a", b"", b"b")
        stream = self.admit(chunks)
        self.assertEqual([b"a", b"b"], list(stream))
        self.assertEqual((1, [1, 0]), (chunks.closed, self.seen))
        stream.close()
        self.assertEqual((1, [1, 0]), (chunks.closed, self.seen))

    def test_a_source_that_fails_ends_the_stream(self):
        chunks = _Chunks(b"a", ValueError("inner"))
        self.assertEqual([b"a"], list(self.admit(chunks)))
        self.assertEqual((1, [1, 0]), (chunks.closed, self.seen))

    def test_a_stream_that_was_never_read_is_released(self):
        stream = self.admit(_Chunks(b"a"))
        stream.close()
        self.assertEqual([1, 0], self.seen)

    def test_head_holds_nothing(self):
        chunks = _Chunks(b"a")
        self.admit(chunks, REQUEST_METHOD="HEAD")
        self.assertEqual((1, [1, 0]), (chunks.closed, self.seen))

    def test_a_client_that_has_gone_is_noticed(self):
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        chunks = _Chunks(b"a", b"", b"b", b"", b"c")
        stream = self.admit(chunks, **{"gunicorn.socket": here})
        self.assertEqual([b"a", b"b"], [next(stream), next(stream)])
        there.close()
        self.assertRaises(StopIteration, next, stream)
        self.assertEqual((1, [1, 0]), (chunks.closed, self.seen))

    def test_a_caller_who_may_no_longer_see_it_sees_nothing_more(self):
        # The clock is read at the start, for each chunk, and again when it is time to ask.
        times, answers = iter([0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0]), iter([True, False])
        chunks = _Chunks(b"a", b"b", b"", b"c", b"d")
        stream = streams.Stream(
            chunks, lambda: None, lambda: False, lambda: next(answers), now=lambda: next(times)
        )
        self.assertEqual([b"a", b"b"], list(stream))
        self.assertEqual(1, chunks.closed)

    def test_a_process_with_many_files_sees_who_has_gone(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(
            resource.setrlimit, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)
        )
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        near, there = socket.socketpair()
        here = socket.socket(fileno=fcntl.fcntl(near, fcntl.F_DUPFD, 1500))
        near.close()
        self.addCleanup(here.close)
        self.assertFalse(streams.gone({"gunicorn.socket": here}))
        there.close()
        self.assertTrue(streams.gone({"gunicorn.socket": here}))

    def test_a_client_that_pipelines_has_not_gone(self):
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        there.send(b"GET / HTTP/1.1")
        self.assertFalse(streams.gone({"gunicorn.socket": here}))
        self.assertEqual(b"GET", here.recv(3))


class Feeds(testtools.TestCase):
    ITEMS = (streams.Item(41, "thing.create", {"id": "a"}), streams.Item(42, "thing.delete", {"id": "a"}))

    def feed(self, items, media_type, times=None, **kw):
        now = iter(times).__next__ if times is not None else lambda: 0.0
        return list(streams.feed(items, media_type, heartbeat=10, now=now, **kw))

    def test_sse(self):
        self.assertEqual(
            [
                b": \n\n",
                b'id: 41\nevent: thing.create\ndata: {"id":"a"}\n\n',
                b'id: 42\nevent: thing.delete\ndata: {"id":"a"}\n\n',
            ],
            self.feed(self.ITEMS, streams.SSE),
        )

    def test_ndjson(self):
        self.assertEqual(
            [
                b"\n",
                b'{"cursor":41,"kind":"thing.create","data":{"id":"a"}}\n',
                b'{"cursor":42,"kind":"thing.delete","data":{"id":"a"}}\n',
            ],
            self.feed(self.ITEMS, streams.NDJSON),
        )

    def test_a_heartbeat_comes_when_it_is_time(self):
        # The clock is read at the start, at each None, and after each thing said.
        said = self.feed([None, None, None], streams.SSE, times=[0, 1, 10, 10, 19])
        self.assertEqual([b": \n\n", b"", b": \n\n", b""], said)

    def test_an_error_is_the_last_entry(self):
        def items():
            yield self.ITEMS[0]
            raise errors.CursorExpired()

        last = self.feed(items(), streams.SSE, request_id="req-1")[-1]
        self.assertTrue(
            last.startswith(b'event: error\ndata: {"type":"/docs/problems#apisvc.cursor.expired"')
        )
        last = self.feed(items(), streams.NDJSON)[-1]
        self.assertTrue(last.startswith(b'{"error":{"type"') and last.endswith(b"}}\n"))

    def test_closing_closes_the_source(self):
        chunks = _Chunks(None, None)
        feed = streams.feed(chunks, streams.SSE, heartbeat=1)
        next(feed)
        feed.close()
        self.assertEqual(1, chunks.closed)


class Asking(testtools.TestCase):
    def test_the_format_is_asked_for_by_accept(self):
        self.assertIsNone(streams.wanted(_request()))
        self.assertIsNone(streams.wanted(_request(HTTP_ACCEPT="application/json")))
        self.assertEqual(streams.SSE, streams.wanted(_request(HTTP_ACCEPT="text/event-stream")))
        asked = "application/x-ndjson;q=0.9, */*"
        self.assertEqual(streams.NDJSON, streams.wanted(_request(HTTP_ACCEPT=asked)))

    def test_cursors(self):
        self.assertIsNone(streams.cursor(_request(), None))
        self.assertEqual(5, streams.cursor(_request(), 5))
        self.assertEqual(7, streams.cursor(_request(HTTP_LAST_EVENT_ID="7"), 5))
        self.assertEqual(5, streams.cursor(_request(HTTP_LAST_EVENT_ID=""), 5))
        for bad in ("x", "-1", "1.5", "9" * 400, "\u0665"):
            error = self.assertRaises(
                errors.InvalidRequest, streams.cursor, _request(HTTP_LAST_EVENT_ID=bad), 5
            )
            self.assertEqual("header:Last-Event-ID", error.errors[0].pointer)


class OverHttp(harness.WebCase):
    options = {"max_streams": 1}

    def test_a_stream_is_sent_chunk_by_chunk(self):
        answer = self.call("GET", "/v1/stream")
        self.assertEqual(("ab", "text/plain"), (answer.text, answer.headers["content-type"]))
        self.assertNotIn("content-length", answer.headers)
        self.assertEqual("no", answer.headers["x-accel-buffering"])

    def test_a_revoked_token_cuts_its_streams_off(self):
        stream = self.app(
            testing.create_environ("/v1/stream", headers={"X-Auth-Token": "member"}), lambda *_: None
        )
        self.addCleanup(stream.close)
        self.assertTrue(stream._allowed())
        self.callers.revoked.add("member")
        self.assertFalse(stream._allowed())

    def test_one_too_many_is_a_problem(self):
        held = self.app(
            testing.create_environ("/v1/stream", headers={"X-Auth-Token": "member"}), lambda *_: None
        )
        answer = self.call("GET", "/v1/stream")
        self.problem(answer, 429, "apisvc.request.rate_limited")
        self.assertEqual("5", answer.headers["retry-after"])
        held.close()
        self.assertEqual("ab", self.call("GET", "/v1/stream").text)
