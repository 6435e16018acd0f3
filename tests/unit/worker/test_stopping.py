"""A worker that is told to end as soon as it lives: nothing of it is left."""

import threading
from unittest import mock

import testtools

from apisvc.model import keys
from apisvc.worker import worker
from tests.unit.worker import world


class Stopping(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.addCleanup(self.world.stop)
        self.one = worker.Worker(self.world.conf, self.world.services, self.world.load())
        self.addCleanup(self.one.stop)

    def records(self) -> list[str]:
        return [record.key for record in self.world.store.scan(keys.WORKERS).records]

    def test_while_it_starts(self) -> None:
        ended: list[object] = []
        stopping = threading.Thread(target=lambda: ended.append(self.one.stop()))

        class Slow(threading.Thread):
            """The first of those that serve; the worker is told to end before it runs."""

            def start(this) -> None:
                world.until(self.records, "it is known as a worker")
                if this.name.startswith("worker ") and stopping.ident is None:
                    stopping.start()
                    stopping.join(0.2)  # so that it comes as far as it can
                super().start()

        with mock.patch.object(threading, "Thread", Slow):
            self.one.start()
        stopping.join(world.DEADLINE)
        self.assertEqual([None], ended)
        self.assertEqual([], self.records())

    def test_before_it_starts(self) -> None:
        self.one.stop()
        self.one.start()
        self.assertFalse(self.one.members._thread.is_alive())
        self.assertEqual([], self.records())
