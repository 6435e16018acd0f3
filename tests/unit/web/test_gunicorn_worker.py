"""When a request counts as begun: only for that may the store be asked ahead of it."""

import queue
import socket
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import testtools
from gunicorn import config
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

        pool = serving.Pool(2, serve, ask=ask, told=lambda tasks: None)
        self.addCleanup(pool.shutdown)
        pool.submit([(None, True)])
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
        self.pool(self.worker.handle_http2).submit([(None, True), (mock.sentinel.connection, True)])
        self.assertEqual([False, True], [self.served.get(timeout=10) is None for _ in range(2)])

    def test_a_new_connection_on_which_nothing_comes_keeps_nobody_waiting(self) -> None:
        self.patch("handle")
        client, server = socket.socketpair()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        waits = gthread.TConn(mock.Mock(), server, None, None)
        self.pool(self.worker.handle).submit([(waits, True), (None, True)])
        self.served.get(timeout=10)
        self.assertTrue(self.served.empty())
        client.sendall(b"G")
        self.served.get(timeout=10)


class TestSettings(testtools.TestCase):
    def test_a_process_has_each_as_it_was_set(self) -> None:
        worker = gunicorn_worker.Turns.__new__(gunicorn_worker.Turns)
        worker.cfg = config.Config()
        worker.cfg.set("keepalive", 7)
        with mock.patch.object(gthread.ThreadWorker, "init_process"):
            worker.init_process()
        self.assertEqual(7, worker.cfg.keepalive)
        other = config.Config()
        for name in worker.cfg.settings:
            if name not in ("keepalive", "worker_class", "logger_class"):
                self.assertEqual(getattr(other, name), getattr(worker.cfg, name), name)


class TestHandingBack(testtools.TestCase):
    """What is served, and has its next request by then, is served again at once."""

    def setUp(self) -> None:
        super().setUp()
        self.worker = gunicorn_worker.Turns.__new__(gunicorn_worker.Turns)
        self.worker.alive, self.worker._tls = True, False
        self.worker.tpool, self.worker.method_queue = mock.Mock(), mock.Mock()

    def task(self, returned: Any, *, came: bool) -> "serving.Task[Any]":
        """Of a connection, on which ``handle`` came to this."""
        client, server = socket.socketpair()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        if came:
            client.sendall(b"GET /")
        task = serving.Task(gthread.TConn(mock.Mock(), server, None, None), True)
        task.serve(lambda conn: returned)
        return task

    def polled(self, *tasks: "serving.Task[Any]") -> "list[serving.Task[Any]]":
        """Which of them the thread that polls gets; the others are submitted."""
        self.worker._told(list(tasks))
        polled: list[serving.Task[Any]] = []
        for call in self.worker.method_queue.defer.mock_calls:
            polled += call.args[1]
        return polled

    def test_only_a_connection_that_is_kept_and_has_a_request_is_not_polled(self) -> None:
        came, other = self.task(True, came=True), self.task(True, came=True)
        rest = [
            self.task(True, came=False),
            self.task(False, came=True),
            self.task(gthread._DEFER, came=True),
        ]
        self.assertEqual(rest, self.polled(came, *rest, other))
        self.worker.tpool.submit.assert_called_once_with([(came.item, True), (other.item, True)])

    def test_nobody_is_polled_in_vain(self) -> None:
        self.assertEqual([], self.polled(self.task(True, came=True)))
        self.worker.method_queue.defer.assert_not_called()

    def test_at_the_end_all_are(self) -> None:
        self.worker.alive = False
        task = self.task(True, came=True)
        self.assertEqual([task], self.polled(task))
        self.worker.tpool.submit.assert_not_called()

    def test_so_they_are_if_it_has_come_meanwhile(self) -> None:
        self.worker.tpool.submit.side_effect = RuntimeError("the pool is shut down")
        task = self.task(True, came=True)
        self.assertEqual([task], self.polled(task))

    def test_with_tls_nobody_knows(self) -> None:
        self.worker._tls = True
        task = self.task(True, came=True)
        self.assertEqual([task], self.polled(task))
