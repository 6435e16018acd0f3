import threading
import time

import testtools

from apisvc.service import turns


class TurnsTest(testtools.TestCase):
    def test_one_at_a_time_for_a_name_and_no_trace_afterwards(self) -> None:
        taken, inside, most = turns.Turns(), [0], [0]

        def work() -> None:
            for _ in range(200):
                with taken.of("a", time.monotonic() + 30):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([1], most)
        self.assertEqual({}, taken._locks)

    def test_other_names_do_not_wait(self) -> None:
        taken = turns.Turns()
        with taken.of("a", time.monotonic() + 30), taken.of("b", time.monotonic() + 30):
            self.assertEqual({"a", "b"}, set(taken._locks))

    def test_who_waits_too_long_goes_on_without(self) -> None:
        taken, went_on, leave = turns.Turns(), threading.Event(), threading.Event()

        def hold() -> None:
            with taken.of("a", time.monotonic() + 30):
                went_on.set()
                leave.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        self.assertTrue(went_on.wait(30))
        with taken.of("a", time.monotonic()):
            self.assertEqual(2, taken._locks["a"][1])
        leave.set()
        holder.join(30)
        self.assertEqual({}, taken._locks)

    def test_a_thread_may_hold_it_twice(self) -> None:
        taken = turns.Turns()
        with taken.of("a", time.monotonic() + 30), taken.of("a", time.monotonic() + 30):
            self.assertEqual(2, taken._locks["a"][1])
        self.assertEqual({}, taken._locks)
