"""The store is asked ahead for those whose turn is next: once for all of them, and late enough for each."""

import threading
import time
from concurrent import futures
from unittest import mock

from apisvc import turns
from apisvc.turns import pool as serving
from tests.unit import turns_case

SOON, Job = turns_case.SOON, turns_case.Job


class TestAsking(turns_case.PoolCase):
    def test_who_has_left_asks_for_itself(self) -> None:
        pool = self.pool()
        pool.call(turns.asked).result(SOON)

        def stream() -> turns.Asked | None:
            turns.leave()
            return turns.asked()

        made = pool.calls(Job(turns.asked), Job(stream))
        self.assertIsNotNone(made[0].result(SOON))
        self.assertIsNone(made[1].result(SOON))

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
