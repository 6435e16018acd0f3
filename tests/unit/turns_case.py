"""A pool of threads that take turns, and tasks for it that can be held and looked at."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any
from unittest import mock

import testtools

from apisvc import turns
from apisvc.turns import pool as serving

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


class PoolCase(testtools.TestCase):
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
