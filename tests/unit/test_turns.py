"""One thread at a time; who waits keeps nobody waiting; and what is asked ahead is asked late enough."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any
from unittest import mock

import testtools

from apisvc import turns
from apisvc.turns import pool as serving
from tests.functional import deployment

SOON = 10.0


class Job:
    """A call for the pool, and a future of it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments
        self.future: futures.Future[Any] = futures.Future()

    def run(self) -> Any:
        return self.function(*self.arguments)

    @property
    def came(self) -> bool:
        return self.arguments[:1] != (False,)


class Pool(serving.Pool[Job]):
    """A pool of jobs."""

    def __init__(self, threads: int, ask: Callable[[float], turns.Asked | None]) -> None:
        super().__init__(threads, Job.run, ask=ask, told=self._settle)

    @staticmethod
    def _settle(tasks: list[serving.Task[Job]]) -> None:
        for task in tasks:
            try:
                task.item.future.set_result(task.result())
            except BaseException as error:
                task.item.future.set_exception(error)

    def call(self, function: Callable[..., Any], *arguments: Any) -> "futures.Future[Any]":
        return self.calls(Job(function, *arguments))[0]

    def calls(self, *jobs: Job) -> "list[futures.Future[Any]]":
        """Jobs that come together."""
        self.submit([(job, job.came) for job in jobs])
        return [job.future for job in jobs]


class TestPool(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.revisions = itertools.count(1)
        self.asks: list[float] = []

    def ask(self, deadline: float) -> turns.Asked | None:
        self.asks.append(deadline)
        return next(self.revisions), time.monotonic()

    def pool(self, threads: int = 4, ask: Any = None, tick: float | None = None) -> Pool:
        """A pool whose tasks came unless their first argument is False; ``tick``: as good as never by default."""
        self._patch("TICK", 600.0 if tick is None else tick)
        pool = Pool(threads, ask or self.ask)
        self.addCleanup(pool.shutdown, wait=True)
        return pool

    def _patch(self, name: str, value: float) -> None:
        patched = mock.patch.object(serving, name, value)
        patched.start()
        self.addCleanup(patched.stop)

    def held(self, pool: Pool) -> tuple[threading.Event, "futures.Future[Any]"]:
        """A task that looks at the revision and has the turn until the event is set."""
        begun, release = threading.Event(), threading.Event()
        self.addCleanup(release.set)

        def hold() -> None:
            turns.asked()
            begun.set()
            release.wait(SOON)

        future = pool.call(hold)
        self.assertTrue(begun.wait(SOON))
        return release, future

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

    def test_who_has_left_asks_for_itself(self) -> None:
        pool = self.pool()
        pool.call(turns.asked).result(SOON)

        def stream() -> turns.Asked | None:
            turns.leave()
            return turns.asked()

        made = pool.calls(Job(turns.asked), Job(stream))
        self.assertIsNotNone(made[0].result(SOON))
        self.assertIsNone(made[1].result(SOON))

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

    def test_for_all_that_came_meanwhile_it_is_asked_once(self) -> None:
        pool = self.pool()
        release, _ = self.held(pool)
        made = [pool.call(lambda *came: (turns.asked(), turns.asked()), came) for came in (True, True, False)]
        self.assertEqual([], self.asks)
        release.set()
        (one, again), (two, _), (new, _) = (future.result(SOON) for future in made)
        self.assertIsNotNone(one)
        self.assertEqual(one, two)
        self.assertIsNone(again, "a request that must look anew asks for itself")
        self.assertIsNone(new, "it may come after the store was asked")
        self.assertEqual(1, len(self.asks))

    def test_for_those_that_come_together_it_is_asked_once(self) -> None:
        pool = self.pool()
        pool.call(turns.asked).result(SOON)  # now the pool knows that they look at it
        made = pool.calls(*(Job(turns.asked) for _ in range(3)))
        self.assertEqual([1, 1, 1], [future.result(SOON)[0] for future in made])
        self.assertEqual(1, len(self.asks))

    def test_what_comes_after_the_asking_is_not_served_with_its_answer(self) -> None:
        asked, answer = threading.Event(), threading.Event()
        self.addCleanup(answer.set)

        def ask(deadline: float) -> turns.Asked:
            begun = time.monotonic()
            asked.set()
            answer.wait(SOON)
            return next(self.revisions), begun

        pool = self.pool(ask=ask)
        release, _ = self.held(pool)
        early = [pool.call(turns.asked) for _ in range(2)]
        release.set()
        self.assertTrue(asked.wait(SOON))
        late = pool.call(turns.asked)
        answer.set()
        self.assertEqual([1, 1], [future.result(SOON)[0] for future in early])
        self.assertIsNone(late.result(SOON), "alone it asks for itself")

    def test_nobody_who_looks_means_that_nobody_asks(self) -> None:
        pool = self.pool()
        release, _ = self.held(pool)
        for future in [pool.call(str, number) for number in range(5)]:
            release.set()
            future.result(SOON)
        asks = len(self.asks)
        self.assertLessEqual(asks, 1, "the first batch could not know")
        gate = threading.Event()
        pool.call(gate.wait, SOON)
        made = [pool.call(str, number) for number in range(5)]
        gate.set()
        futures.wait(made, SOON)
        self.assertEqual(asks, len(self.asks))

    def test_a_store_that_hangs_keeps_nobody_from_asking_for_itself(self) -> None:
        never = threading.Event()

        def ask(deadline: float) -> None:
            never.wait(SOON)

        pool = self.pool(ask=ask, tick=0.01)
        self.addCleanup(never.set)
        release, _ = self.held(pool)
        made = [pool.call(turns.asked) for _ in range(3)]
        release.set()
        self.assertEqual([None] * 3, [future.result(SOON) for future in made])

    def test_an_ask_that_breaks_is_logged_and_the_tasks_run(self) -> None:
        pool = self.pool(ask=mock.Mock(side_effect=ValueError("closed")))
        release, _ = self.held(pool)
        made = [pool.call(turns.asked) for _ in range(2)]
        with self.assertLogs(serving.LOG, "ERROR"):
            release.set()
            self.assertEqual([None, None], [future.result(SOON) for future in made])

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
