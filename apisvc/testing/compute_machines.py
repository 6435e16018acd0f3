"""The scenarios of what machines can do. Part of :class:`apisvc.testing.compute.ComputeSuite`."""

import dataclasses
import time

from apisvc.compute import base
from apisvc.testing import compute_case

Phase = base.Phase
MISSING = "00000000-0000-7000-8000-000000000000"


class ConsoleScenarios(compute_case.ComputeCase):
    def test_console_is_somewhere(self) -> None:
        driver, workload = self.require("console"), self.run_one()
        access = driver.console(workload.id, self.tenant.id, deadline=self.soon())
        self.assertTrue(access.kind)
        self.assertRegex(access.url, r"^(https?|wss?)://")
        self.assertNotIn(access.url, repr(access), "it is a secret")

    def test_console_of_what_rests_or_is_not_there(self) -> None:
        driver = self.require("console")
        with self.assertRaises(base.NotFound):
            driver.console(MISSING, self.tenant.id, deadline=self.soon())
        with self.assertRaises(base.Timeout):
            driver.console(MISSING, self.tenant.id, deadline=time.monotonic() - 1)
        if "power" not in self.capabilities:
            return
        workload = self.run_one()
        stopped = dataclasses.replace(workload, power="stopped")
        self.again(lambda: driver.stop(stopped, deadline=self.soon()))
        self.until_phase(workload.id, Phase.STOPPED)
        with self.assertRaises(base.InvalidSpec):
            driver.console(workload.id, self.tenant.id, deadline=self.soon())


class ResizeScenarios(compute_case.ComputeCase):
    def _resized(self, workload: base.Workload) -> base.Workload:
        return dataclasses.replace(
            workload, vcpus=workload.vcpus + 1, flavor=f"{workload.flavor}-2", spec_hash="resized"
        )

    def _until_resized(self, workload: base.Workload, phase: base.Phase) -> base.Observed:
        def resized() -> base.Observed | None:
            self.ensure(workload)
            seen = self.look(workload.id)
            there = seen and seen.tag.spec_hash == workload.spec_hash and seen.phase is phase
            return seen if there else None

        return self.until(resized, "it has another flavor")

    def test_resize_keeps_what_it_is(self) -> None:
        self.require("resize")
        workload = self.run_one()
        before = self.look(workload.id)
        assert before is not None
        after = self._until_resized(self._resized(workload), Phase.RUNNING)
        self.assertEqual((before.handle, before.addresses), (after.handle, after.addresses))
        self.assertEqual(1, self.count(workload.id))
        back = self._until_resized(dataclasses.replace(workload, spec_hash="back"), Phase.RUNNING)
        self.assertEqual(before.handle, back.handle)

    def test_resize_of_what_rests(self) -> None:
        driver = self.require("resize")
        if "power" not in self.capabilities:
            self.skipTest("the driver does not declare power")
        workload = dataclasses.replace(self.run_one(), power="stopped")
        self.again(lambda: driver.stop(workload, deadline=self.soon()))
        self.until_phase(workload.id, Phase.STOPPED)
        self._until_resized(self._resized(workload), Phase.STOPPED)
        self.assertEqual(1, self.count(workload.id))
