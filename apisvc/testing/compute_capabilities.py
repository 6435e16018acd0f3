"""The scenarios of what a driver can do beyond the core. Part of :class:`apisvc.testing.compute.ComputeSuite`."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from apisvc.compute import base
from apisvc.testing import compute_case

Phase = base.Phase
MISSING = "00000000-0000-7000-8000-000000000000"


class PowerScenarios(compute_case.ComputeCase):
    def _do(self, action: Callable[..., base.Observed], workload: base.Workload) -> base.Observed:
        return self.again(lambda: action(workload, deadline=self.soon()))

    def test_power_stop_keeps_it_and_start_runs_it_again(self) -> None:
        driver, workload = self.require("power"), self.run_one()
        stopped = dataclasses.replace(workload, power="stopped")
        for _ in range(2):
            self.assertIsInstance(self._do(driver.stop, stopped), base.Observed)
            self.until_phase(workload.id, Phase.STOPPED)
        self.ensure(stopped)
        self.until_phase(workload.id, Phase.STOPPED)
        for _ in range(2):
            self._do(driver.start, workload)
            self.until_phase(workload.id, Phase.RUNNING)
        self.assertEqual(1, self.count(workload.id))

    def test_power_start_of_what_runs_only_reports(self) -> None:
        driver, workload = self.require("power"), self.run_one()
        before = self.look(workload.id)
        self._do(driver.start, workload)
        self.assertEqual(before, self.until_phase(workload.id, Phase.RUNNING))

    def test_power_start_runs_what_exited(self) -> None:
        driver, workload = self.require("power"), self.ended(4)
        self.ensure(workload)
        before = self.until_phase(workload.id, Phase.EXITED)
        self._do(driver.start, workload)

        def again() -> bool:
            seen = self.look(workload.id)
            return bool(seen and seen.phase is Phase.EXITED and seen.started_at != before.started_at)

        self.until(again, "it ran once more")

    def test_power_stop_of_what_exited(self) -> None:
        driver, workload = self.require("power"), self.ended(4)
        self.ensure(workload)
        self.until_phase(workload.id, Phase.EXITED)
        self._do(driver.stop, dataclasses.replace(workload, power="stopped"))
        self.until(
            lambda: (seen := self.look(workload.id)) and seen.phase in (Phase.STOPPED, Phase.EXITED),
            "it rests",
        )

    def test_power_follows_ensure(self) -> None:
        self.require("power")
        workload = self.run_one()
        self.ensure(dataclasses.replace(workload, power="stopped"))
        self.until_phase(workload.id, Phase.STOPPED)
        self.ensure(workload)
        self.until_phase(workload.id, Phase.RUNNING)

    def test_power_made_at_rest(self) -> None:
        self.require("power")
        workload = self.workload(power="stopped")

        def rests() -> base.Observed | None:
            self.ensure(workload)  # a machine may have to come up before it can be stopped
            seen = self.look(workload.id)
            return seen if seen and seen.phase is Phase.STOPPED else None

        self.assertIsNone(self.until(rests, "it rests").started_at)

    def test_power_back_and_forth_at_once_ends_as_last_asked(self) -> None:
        driver, workload = self.require("power"), self.run_one()
        stopped = dataclasses.replace(workload, power="stopped")
        for _ in range(3):
            self._do(driver.stop, stopped)
            self._do(driver.start, workload)
        self.until_phase(workload.id, Phase.RUNNING)
        self._do(driver.stop, stopped)
        self.until_phase(workload.id, Phase.STOPPED)

    def test_power_reboot_happens_once_for_each_number(self) -> None:
        driver, workload = self.require("power"), self.run_one()
        for number in (1, 2):
            before = self.look(workload.id)
            asked = dataclasses.replace(workload, reboots=number)
            self._do(driver.reboot, asked)
            self.until(self._restarted(before), "it was rebooted")
            after = self.look(workload.id)
            assert after is not None
            self.assertIn(after.reboots, (None, number))
            self._do(driver.reboot, asked)
            self.ensure(asked)
            self.assertEqual(after, self.until_phase(workload.id, Phase.RUNNING))
        self.assertEqual(1, self.count(workload.id))

    def test_power_reboot_by_ensure(self) -> None:
        self.require("power")
        workload = self.run_one()
        before = self.look(workload.id)
        self.ensure(dataclasses.replace(workload, reboots=1))
        self.until(self._restarted(before), "it was rebooted")

    def _restarted(self, before: base.Observed | None) -> Callable[[], bool]:
        assert before is not None

        def restarted() -> bool:
            seen = self.look(before.tag.instance_id)
            return bool(seen and seen.phase is Phase.RUNNING and seen.started_at != before.started_at)

        return restarted

    def test_power_of_what_is_not_there(self) -> None:
        driver = self.require("power")
        workload = self.workload(reboots=1)
        for call in (driver.stop, driver.start, driver.reboot):
            with self.assertRaises(base.NotFound):
                call(workload, deadline=self.soon())
            with self.assertRaises(base.Timeout):
                call(workload, deadline=time.monotonic() - 1)


class LogsScenarios(compute_case.ComputeCase):
    def _read(self, workload: base.Workload, **request: Any) -> bytes:
        chunks = self.require("logs").logs(
            workload.id, self.tenant.id, base.LogRequest(**request), deadline=self.soon()
        )
        return b"".join(chunks)

    def _printed(self) -> base.Workload:
        workload = self.run_one()
        self.until(lambda: self._lines(workload)[-1:] == list(self.prints[-1:]), "it printed")
        return workload

    def _lines(self, workload: base.Workload, **request: Any) -> list[str]:
        """What it printed of its own, by lines."""
        lines = self._read(workload, **request).decode(errors="replace").splitlines()
        return [line for line in lines if line in self.prints]

    def test_logs_whole_and_tail(self) -> None:
        self.require("logs")
        workload = self._printed()
        self.assertEqual(list(self.prints), self._lines(workload))
        last = self._read(workload, tail=2).decode().splitlines()
        self.assertEqual(list(self.prints[-2:]), last)
        self.assertEqual(b"", self._read(workload, tail=0))
        self.assertEqual(self._read(workload), self._read(workload, tail=1000))

    def test_logs_follow_goes_on_and_ends_with_it(self) -> None:
        driver = self.require("logs")
        workload = self._printed()
        feed = driver.logs(
            workload.id, self.tenant.id, base.LogRequest(tail=1, follow=True), deadline=self.soon()
        )
        heard = b""
        while self.prints[-1].encode() not in heard:
            heard += next(feed)
        started = time.monotonic()
        while next(feed) != b"":
            pass
        self.assertLess(
            time.monotonic() - started, 1 + self.patience / 6, "a sign of life at least every second"
        )
        self.gone(workload.id)
        for _ in feed:
            self.assertLess(time.monotonic() - started, self.patience, "it ends when the instance is gone")

    def test_logs_of_what_exited_end_though_followed(self) -> None:
        self.require("logs")
        workload = self.ended(0)
        self.ensure(workload)
        self.until_phase(workload.id, Phase.EXITED)
        self._read(workload, follow=True)

    def test_logs_can_be_left(self) -> None:
        driver = self.require("logs")
        workload = self._printed()
        request = base.LogRequest(follow=True)
        for _ in range(3):
            feed = driver.logs(workload.id, self.tenant.id, request, deadline=self.soon())
            next(feed)
            feed.close()

    def test_logs_of_what_is_not_there(self) -> None:
        driver = self.require("logs")
        with self.assertRaises(base.NotFound):
            list(driver.logs(MISSING, self.tenant.id, base.LogRequest(), deadline=self.soon()))
        with self.assertRaises(base.Timeout):
            list(driver.logs(MISSING, self.tenant.id, base.LogRequest(), deadline=time.monotonic() - 1))


class NodesScenarios(compute_case.ComputeCase):
    def test_nodes_are_listed(self) -> None:
        driver = self.require("nodes")
        nodes = driver.nodes(deadline=self.soon())
        self.assertTrue(nodes)
        for node in nodes:
            self.assertIsInstance(node, base.Node)
            self.assertTrue(node.name)
        with self.assertRaises(base.Timeout):
            driver.nodes(deadline=time.monotonic() - 1)

    def test_nodes_bear_the_names_that_instances_tell(self) -> None:
        driver = self.require("nodes")
        seen = self.look(self.run_one().id)
        assert seen is not None
        self.assertIn(seen.node, [None, *(node.name for node in driver.nodes(deadline=self.soon()))])


class WatchScenarios(compute_case.ComputeCase):
    def test_watch_begins_with_a_gap_and_tells_changes(self) -> None:
        with self.watching() as feed, self.watching() as second:
            self.until(lambda: feed.heard and second.heard, "both began")
            self.assertEqual(["", ""], [feed.heard[0], second.heard[0]])
            workload = self.run_one()
            told = {workload.id, ""}
            self.until(
                lambda: told & set(feed.heard[1:]) and told & set(second.heard[1:]), "both told of a change"
            )
            before = len(feed.heard)
            self.driver.delete(workload.id, self.tenant.id, deadline=self.soon())
            self.until(lambda: told & set(feed.heard[before:]), "it told of the end")
        self.assertFalse(feed.is_alive(), "it ends when told to")
        self.assertIsNone(feed.error)

    def test_watch_tells_that_it_ended_by_itself(self) -> None:
        with self.watching() as feed:
            self.until(lambda: feed.heard, "it began")
            workload = self.ended(5)
            self.ensure(workload)

            def exited() -> bool:
                seen = self.look(workload.id) if {workload.id, ""} & set(feed.heard[1:]) else None
                return bool(seen and seen.phase is Phase.EXITED)

            self.until(exited, "it told")
