"""When a request counts as begun: only for that may the store be asked ahead of it."""

import queue
import socket
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import testtools
from gunicorn.workers import gthread

from apisvc import turns
from apisvc.turns import pool as serving
from apisvc.web import gunicorn_worker


class TestBegun(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client, self.server = socket.socketpair()
        self.addCleanup(self.client.close)
        self.addCleanup(self.server.close)

    def test_it_has_when_its_first_byte_is_there(self) -> None:
        self.client.sendall(b"G")
        self.assertTrue(gunicorn_worker.begun(self.server))
        self.assertEqual(b"G", self.server.recv(10), "and it stays there")

    def test_it_has_not_while_there_is_nothing(self) -> None:
        self.assertFalse(gunicorn_worker.begun(self.server))
        self.server.setblocking(True)
        self.assertFalse(gunicorn_worker.begun(self.server))

    def test_an_empty_line_is_no_request(self) -> None:
        self.client.sendall(b"\r\n")
        self.assertFalse(gunicorn_worker.begun(self.server))
        self.assertEqual(b"\r", self.server.recv(1))
        self.assertFalse(gunicorn_worker.begun(self.server))

    def test_neither_is_the_end(self) -> None:
        self.client.close()
        self.assertFalse(gunicorn_worker.begun(self.server))
        self.server.close()
        self.assertFalse(gunicorn_worker.begun(self.server))


class TestServing(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.worker = gunicorn_worker.Turns.__new__(gunicorn_worker.Turns)
        self.served: queue.Queue[turns.Asked | None] = queue.Queue()
        tick = mock.patch.object(serving, "TICK", 600.0)
        tick.start()
        self.addCleanup(tick.stop)

    def pool(self, work: Callable[[Any], Any]) -> "serving.Pool[Any]":
        """One that knows that requests look at the revision."""

        def ask(until: float) -> turns.Asked:
            return 1, time.monotonic()

        def serve(item: Any) -> None:
            if item is None:
                self.served.put(turns.asked())
            else:
                work(item)

        pool = serving.Pool(2, serve, ask=ask, came=lambda item: True, told=lambda tasks: None)
        self.addCleanup(pool.shutdown)
        pool.submit([None])
        self.served.get(timeout=10)
        return pool

    def patch(self, method: str) -> None:
        """gunicorn's own of that name: a request."""
        patched = mock.patch.object(
            gthread.ThreadWorker, method, lambda _, conn: self.served.put(turns.asked())
        )
        patched.start()
        self.addCleanup(patched.stop)

    def test_each_request_of_http2_asks_for_itself(self) -> None:
        self.patch("handle_http2")
        self.pool(self.worker.handle_http2).submit([None, mock.sentinel.connection])
        self.assertEqual([False, True], [self.served.get(timeout=10) is None for _ in range(2)])

    def test_a_new_connection_on_which_nothing_comes_keeps_nobody_waiting(self) -> None:
        self.patch("handle")
        client, server = socket.socketpair()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        self.pool(self.worker.handle).submit([gthread.TConn(mock.Mock(), server, None, None), None])
        self.served.get(timeout=10)
        self.assertTrue(self.served.empty())
        client.sendall(b"G")
        self.served.get(timeout=10)
