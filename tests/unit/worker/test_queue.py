import threading
import time

import testtools

from apisvc.worker import queue


class KeyQueue(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue = queue.KeyQueue()
        self.addCleanup(self.queue.close)

    def test_a_key_is_in_it_once(self) -> None:
        for _ in range(3):
            self.queue.add("a")
        self.assertEqual(1, len(self.queue))
        self.assertEqual("a", self.queue.take(10))
        self.queue.done("a")
        self.assertIsNone(self.queue.take(0.01))

    def test_a_key_is_worked_by_one_at_a_time(self) -> None:
        self.queue.add("a")
        self.assertEqual("a", self.queue.take(10))
        self.queue.add("a")
        self.assertIsNone(self.queue.take(0.02), "it is being worked")
        self.queue.done("a")
        self.assertEqual("a", self.queue.take(10), "and again, since it was added meanwhile")

    def test_how_long_a_key_was_due_is_told(self) -> None:
        waits: list[float] = []
        told = queue.KeyQueue(waits.append)
        self.addCleanup(told.close)
        told.add("late", -3600.0)
        told.add("now")
        self.assertEqual(["late", "now"], [told.take(10) for _ in range(2)])
        self.assertEqual([True, False], [waited >= 3600 for waited in waits])

    def test_in_the_order_of_their_times(self) -> None:
        for key, due in (("late", -100.0), ("first", -300.0), ("soon", -200.0)):
            self.queue.add(key, due)
        self.assertEqual(["first", "soon", "late"], [self.queue.take(10) for _ in range(3)])

    def test_not_before_its_time(self) -> None:
        started = time.monotonic()
        self.queue.add("a", 0.05)
        self.assertEqual("a", self.queue.take(10))
        self.assertGreaterEqual(time.monotonic() - started, 0.05)

    def test_the_earlier_time_wins(self) -> None:
        self.queue.add("a", 60)
        self.queue.add("a", 0)
        self.queue.add("a", 60)
        self.assertEqual("a", self.queue.take(10))
        self.queue.done("a")
        self.assertIsNone(self.queue.take(0.01), "once is enough")

    def test_close_wakes_takers(self) -> None:
        taken: list[str | None] = ["nothing yet"]
        taker = threading.Thread(target=lambda: taken.append(self.queue.take()))
        taker.start()
        self.queue.close()
        taker.join(30)
        self.assertEqual([None], taken[1:])
        self.queue.add("a")
        self.assertIsNone(self.queue.take())

    def test_many_threads(self) -> None:
        working: set[str] = set()
        overlaps: list[str] = []
        counts: dict[str, int] = {}
        lock = threading.Lock()

        def work() -> None:
            while (key := self.queue.take(0.3)) is not None:
                with lock:
                    overlaps.extend([key] if key in working else [])
                    working.add(key)
                    counts[key] = counts.get(key, 0) + 1
                    again = counts[key] < 20
                if again:
                    self.queue.add(key)
                with lock:
                    working.discard(key)
                self.queue.done(key)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for number in range(10):
            self.queue.add(str(number))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual([], overlaps)
        self.assertEqual([20] * 10, list(counts.values()))
