"""When a request counts as begun: only for that may the store be asked ahead of it."""

import queue
import socket
import time
from unittest import mock

import testtools
from gunicorn.workers import gthread

from apisvc import turns
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


class TestHttp2(testtools.TestCase):
    def test_each_of_its_requests_asks_for_itself(self) -> None:
        served: queue.Queue[turns.Asked | None] = queue.Queue()
        worker = gunicorn_worker.Turns.__new__(gunicorn_worker.Turns)

        def work(protocol: int) -> None:
            if protocol == 2:
                worker.handle_http2(mock.sentinel.connection)
            else:
                served.put(turns.asked())

        pool = turns.Pool(
            2, work, ask=lambda until: (1, time.monotonic()), came=lambda item: True, told=lambda tasks: None
        )
        self.addCleanup(pool.shutdown)
        pool.submit([1])
        served.get(timeout=10)  # now the pool knows that they look at it
        with mock.patch.object(
            gthread.ThreadWorker, "handle_http2", lambda self, conn: served.put(turns.asked())
        ):
            pool.submit([1, 2])
            self.assertEqual([False, True], [served.get(timeout=10) is None for _ in range(2)])
