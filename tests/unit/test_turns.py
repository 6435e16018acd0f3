"""One thread at a time; and who waits keeps nobody waiting."""

import random
import threading
import time
from concurrent import futures

from apisvc import turns
from tests.functional import deployment
from tests.unit import turns_case

SOON, Job = turns_case.SOON, turns_case.Job


class TestPool(turns_case.PoolCase):
    def test_tasks_run_one_at_a_time_in_the_order_they_came(self) -> None:
        pool = self.pool()
        running: list[int] = []
        seen: list[int] = []

        def work(number: int) -> int:
            running.append(number)
            self.assertEqual(1, len(running))
            seen.append(number)
            running.remove(number)
            return number * 2

        made = [pool.call(work, number) for number in range(200)]
        self.assertEqual([number * 2 for number in range(200)], [one.result(SOON) for one in made])
        self.assertEqual(list(range(200)), seen)

    def test_an_error_is_the_task_s_own(self) -> None:
        pool = self.pool(threads=1)
        broken = pool.call(lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, broken.result, SOON)
        self.assertEqual(3, pool.call(lambda: 3).result(SOON))

    def test_who_says_that_it_waits_keeps_nobody_waiting(self) -> None:
        pool = self.pool()
        other = threading.Event()

        def wait() -> bool:
            with turns.waiting():
                return other.wait(SOON)

        first = pool.call(wait)
        pool.call(other.set).result(SOON)
        self.assertTrue(first.result(SOON))

    def test_who_does_not_say_so_is_found_out(self) -> None:
        pool = self.pool(tick=0.01)
        other = threading.Event()
        first = pool.call(other.wait, SOON)
        pool.call(other.set).result(SOON)
        self.assertTrue(first.result(SOON))

    def test_what_is_done_is_told_though_the_next_one_waits(self) -> None:
        pool = self.pool()
        release, first = self.held(pool)
        second = pool.call(lambda: "done")
        never = threading.Event()
        self.addCleanup(never.set)

        def wait() -> None:
            with turns.waiting():
                never.wait(SOON)

        third = pool.call(wait)
        release.set()
        self.assertEqual("done", second.result(SOON))
        first.result(SOON)
        self.assertFalse(third.done())

    def test_with_all_threads_waiting_the_next_one_comes_when_one_is_through(self) -> None:
        pool = self.pool(threads=2)
        release = threading.Event()

        def wait() -> None:
            with turns.waiting():
                release.wait(SOON)

        waiting = [pool.call(wait) for _ in range(2)]
        last = pool.call(lambda: "last")
        self.assertFalse(last.done())
        release.set()
        self.assertEqual("last", last.result(SOON))
        futures.wait(waiting, SOON)

    def test_who_has_waited_has_the_turn_before_those_who_have_not_begun(self) -> None:
        pool = self.pool()
        seen: list[str] = []
        calls: list[turns.Call] = []

        def wait() -> None:
            calls.append(turns.Call())
            self.assertTrue(calls[0].wait(SOON))
            seen.append("waited")

        def give() -> None:
            calls[0].give()
            seen.append("gave")

        made = pool.calls(Job(wait), Job(give), Job(lambda: seen.append("next")))
        futures.wait(made, SOON)
        self.assertEqual(["gave", "waited", "next"], seen)

    def test_a_call_that_comes_too_late_is_given_to_nobody(self) -> None:
        pool = self.pool()
        calls: list[turns.Call] = []

        def wait() -> bool:
            calls.append(turns.Call())
            return calls[0].wait(0.01)

        self.assertFalse(pool.call(wait).result(SOON))
        pool.call(lambda: calls[0].give()).result(SOON)
        self.assertEqual("served", pool.call(lambda: "served").result(SOON))

    def test_who_lets_others_go_first_comes_when_they_are_through_or_wait(self) -> None:
        pool = self.pool()
        seen: list[str] = []
        release = threading.Event()
        self.addCleanup(release.set)

        def last() -> None:
            self.assertTrue(turns.let_others())
            seen.append("last")

        def wait() -> None:
            seen.append("waits")
            with turns.waiting():
                release.wait(SOON)

        made = pool.calls(Job(last), Job(wait), Job(lambda: seen.append("second")))
        futures.wait([made[0], made[2]], SOON)
        self.assertEqual(["waits", "second", "last"], seen)

    def test_a_stream_of_batches_keeps_nobody_last_for_ever(self) -> None:
        pool = self.pool()
        done = threading.Event()

        def again() -> None:
            if not done.is_set():
                pool.call(again)

        pool.call(again)
        pool.call(turns.let_others).result(SOON)
        done.set()

    def test_who_has_left_is_waited_for_by_nobody(self) -> None:
        pool = self.pool(tick=600)
        other = threading.Event()

        def stream() -> bool:
            turns.leave()
            with turns.waiting():  # from now on it says so in vain
                pass
            return other.wait(SOON)

        first = pool.call(stream)
        pool.call(other.set).result(SOON)
        self.assertTrue(first.result(SOON))

    def test_at_the_end_nobody_waits_for_a_turn(self) -> None:
        pool = self.pool(threads=2)
        waits, over = threading.Event(), threading.Event()

        def wait() -> None:
            with turns.waiting():
                waits.set()
                over.wait(SOON)

        first = pool.call(wait)
        self.assertTrue(waits.wait(SOON))
        release, _ = self.held(pool)
        over.set()
        deployment.wait_for("it waits for its turn", lambda: len(pool._resumed) == 1)
        pool.shutdown(wait=False)
        release.set()
        first.result(SOON)

    def test_outside_of_a_pool_nothing_is_known(self) -> None:
        with turns.waiting():
            self.assertIsNone(turns.asked())
        self.assertFalse(turns.let_others())
        turns.leave()
        call = turns.Call()
        self.assertFalse(call.wait(0.01))
        call.give()
        self.assertTrue(call.wait(SOON))

    def test_what_was_begun_is_finished_at_the_end(self) -> None:
        pool = self.pool()
        release, first = self.held(pool)
        second = pool.call(lambda: "done")
        threading.Timer(0.05, release.set).start()
        pool.shutdown(wait=True)
        first.result(0)
        self.assertEqual("done", second.result(0))
        self.assertRaises(RuntimeError, pool.call, str)

    def test_a_crowd_of_all_kinds_is_served_to_the_last(self) -> None:
        pool = self.pool(threads=6, tick=0.002)
        chance = random.Random(7)

        def work(kind: int) -> turns.Asked | None:
            if kind == 0:
                time.sleep(0.005)  # and says nothing
            elif kind == 1:
                with turns.waiting():
                    time.sleep(0.001)
            elif kind == 2:
                turns.let_others()
            return turns.asked()

        def client(kinds: list[int]) -> int:
            return sum(pool.call(work, kind).exception(SOON) is None for kind in kinds)

        plans = [[chance.randrange(6) for _ in range(100)] for _ in range(8)]
        with futures.ThreadPoolExecutor(8) as clients:
            self.assertEqual([100] * 8, list(clients.map(client, plans)))
        deployment.wait_for("all threads are idle", lambda: len(pool._idle) >= 6)
        self.assertEqual(6, len(pool._idle), "one is there twice, and will be given a turn while it is busy")
