"""One door to one driver."""

import threading
import time

import prometheus_client
import testtools

from apisvc.compute import base as compute
from apisvc.testing import faults
from apisvc.worker import metrics, site, steps
from tests.unit.worker import world


class Site(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.hook = faults.Injector()
        loaded = self.world.load()["east"]
        self.site = site.Site(loaded, steps.Steps(self.hook), timeout=world.DEADLINE)
        self.driver = self.world.driver()

    def test_a_call_that_ignores_its_deadline_is_left_behind(self) -> None:
        release = threading.Event()
        self.addCleanup(release.set)
        self.driver.check = lambda deadline: release.wait(world.DEADLINE) and compute.Health("late")
        started = time.monotonic()
        self.site._timeout = self.site._grace = 0.05
        self.assertRaises(compute.Timeout, self.site.check)
        self.assertRaises(compute.Timeout, self.site.check)
        self.assertLess(time.monotonic() - started, world.DEADLINE / 2)
        self.site._timeout = self.site._grace = world.DEADLINE
        self.assertEqual(1, self.hook.count("driver.check"), "one at a time")
        self.assertEqual({}, self.site.look_at_all(), "other calls go on")
        release.set()
        world.until(lambda: not self.site._apart, "given back")
        self.assertEqual("late", self.site.check().version)

    def test_a_tenant_is_ensured_again_when_it_has_changed(self) -> None:
        view = compute.TenantView("t", "blue", {"instances": 1})
        for _ in range(3):
            self.site.ensure_tenant(view)
        self.assertEqual(1, self.hook.count("driver.ensure_tenant"))
        self.site.ensure_tenant(compute.TenantView("t", "blue", {"instances": 2}))
        self.site.doubt_tenant("t")
        self.site.ensure_tenant(compute.TenantView("t", "blue", {"instances": 2}))
        self.assertEqual(3, self.hook.count("driver.ensure_tenant"))

    def test_looks_come_less_and_less_often(self) -> None:
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0):
            before = time.monotonic()
            self.site.look_again("instances/t/i", told=False)
            due = self.site.queue._due.pop("instances/t/i")
            self.assertGreaterEqual(due - before, pause - 1e-6)
            self.assertLessEqual(due - time.monotonic(), pause + 1e-6)

    def test_only_errors_of_the_closed_set_leave_it(self) -> None:
        with self.assertLogs("apisvc.worker.outcome", "ERROR"):
            self.assertRaises(compute.DriverBug, self.site.call, "check", lambda deadline: 1 / 0)
        self.assertRaises(compute.NoCapacity, self.site.call, "check", self._full)

    def _full(self, deadline: float) -> None:
        raise compute.NoCapacity


class Metrics(testtools.TestCase):
    def test_no_label_names_a_tenant_or_an_instance(self) -> None:
        names = [name for name in dir(metrics) if name.isupper()]
        self.assertIn("DRIVER_ERRORS", names)
        for name in names:
            labels = set(getattr(metrics, name)._labelnames)
            self.assertTrue(labels <= {"backend", "call", "code", "step", "outcome", "kind"}, name)

    def test_they_are_where_the_api_looks_for_them(self) -> None:
        text = prometheus_client.generate_latest().decode()
        for name in ("queue_length", "claims_total", "pass_seconds", "driver_call_seconds", "driver_errors"):
            self.assertIn(f"apisvc_worker_{name}", text)
