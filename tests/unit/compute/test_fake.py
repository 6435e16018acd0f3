"""What the fake driver does beyond the contract: misbehave as told."""

import os
import tempfile
import threading
import time
import unittest
from unittest import mock

from apisvc.compute import base, fake
from apisvc.testing import backends


class FakeCase(unittest.TestCase):
    def driver(self, **options):
        driver = fake.FakeDriver(backends.context(fake.FakeDriver, state_dir="", **options))
        self.addCleanup(driver.close)
        return driver

    def ensure(self, driver, instance_id="i", **fields):
        return driver.ensure(backends.workload(instance_id, **fields), deadline=backends.soon())


class TestByHand(FakeCase):
    def test_every_error_of_the_set_is_raised_once(self):
        driver = self.driver()
        for error in base.ERRORS:
            driver.script.fail(error)
            with self.assertRaises(error):
                self.ensure(driver)
        self.assertEqual(base.Phase.RUNNING, self.ensure(driver).phase)

    def test_an_error_for_one_instance_spares_the_others(self):
        driver = self.driver()
        driver.script.fail(base.NoCapacity, instance="a")
        self.ensure(driver, "b")
        self.assertRaises(base.NoCapacity, self.ensure, driver, "a")

    def test_a_lost_response_did_its_work(self):
        driver = self.driver()
        driver.script.lose_response()
        self.assertRaises(base.Timeout, self.ensure, driver)
        self.assertEqual(1, len(driver.observe(deadline=backends.soon())))

    def test_partial_outage_takes_orders_but_cannot_be_listed(self):
        driver = self.driver()
        driver.script.partial_outage()
        self.ensure(driver)
        with self.assertRaises(base.Unavailable):
            driver.observe(deadline=backends.soon())
        driver.script.clear()
        self.assertEqual(1, len(driver.observe(deadline=backends.soon())))

    def test_frozen_calls_end_at_their_deadline(self):
        driver = self.driver()
        with driver.script.frozen("check"):
            started = time.monotonic()
            self.assertRaises(base.Timeout, driver.check, deadline=started + 0.05)
            self.assertLess(time.monotonic() - started, 10)
            self.ensure(driver)

    def test_what_vanished_is_gone(self):
        driver = self.driver()
        self.ensure(driver)
        driver.vanish("i")
        self.assertEqual([], driver.observe(deadline=backends.soon()))


class TestByLabels(FakeCase):
    def test_error_a_number_of_times(self):
        driver = self.driver()
        labels = {"fake.error": "no_capacity", "fake.error_times": "2"}
        self.assertRaises(base.NoCapacity, self.ensure, driver, labels=labels)
        self.assertRaises(base.NoCapacity, self.ensure, driver, labels=labels)
        self.assertEqual(base.Phase.RUNNING, self.ensure(driver, labels=labels).phase)

    def test_error_on_delete(self):
        driver = self.driver()
        self.ensure(driver, labels={"fake.error": "unavailable", "fake.error_on": "delete"})
        with self.assertRaises(base.Unavailable):
            driver.delete("i", "tenant-1", deadline=backends.soon())

    def test_environment_speaks_too(self):
        seen = self.ensure(self.driver(), env={"FAKE_EXIT": "3"}, restart_policy="never")
        self.assertEqual((base.Phase.EXITED, 3), (seen.phase, seen.exit_code))

    def test_lost_response(self):
        driver = self.driver()
        self.assertRaises(base.Timeout, self.ensure, driver, labels={"fake.lost": "1"})
        self.assertEqual(base.Phase.RUNNING, self.ensure(driver, labels={"fake.lost": "1"}).phase)

    def test_nonsense_is_refused(self):
        for labels in ({"fake.delay": "soon"}, {"fake.error": "sulk"}):
            self.assertRaises(base.InvalidSpec, self.ensure, self.driver(), labels=labels)

    def test_a_delay_is_watched_to_its_end(self):
        driver = self.driver()
        stop = threading.Event()
        feed = driver.watch(stop=stop)
        self.assertEqual("", next(feed))
        seen = self.ensure(driver, labels={"fake.delay": "0.05"})
        self.assertEqual(base.Phase.CREATING, seen.phase)
        self.assertEqual(["i", "i"], [next(feed), next(feed)])
        stop.set()
        (seen,) = driver.observe(["i"], deadline=backends.soon())
        self.assertEqual(base.Phase.RUNNING, seen.phase)


class TestByOptions(FakeCase):
    def test_outage(self):
        with self.assertRaises(base.Unavailable):
            self.driver(outage=True).check(deadline=backends.soon())

    def test_error(self):
        driver = self.driver(error="backend_quota")
        self.assertRaises(base.BackendQuota, self.ensure, driver)
        self.assertEqual([], driver.observe(deadline=backends.soon()))

    def test_capacity(self):
        driver = self.driver(capacity=1)
        self.ensure(driver, "a")
        self.assertRaises(base.NoCapacity, self.ensure, driver, "b")
        self.ensure(driver, "a", spec_hash="other")


class TestStateFile(FakeCase):
    def test_others_see_it_and_it_survives(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fake.sqlite")
            one, two = self.driver(state_file=path), self.driver(state_file=path)
            stop = threading.Event()
            feed = two.watch(stop=stop)
            self.assertEqual("", next(feed))
            self.ensure(one, labels={"fake.exit": "1"}, restart_policy="never")
            self.assertEqual("i", next(feed))
            stop.set()
            one.close()
            (seen,) = two.observe(deadline=backends.soon())
            self.assertEqual((base.Phase.EXITED, 1), (seen.phase, seen.exit_code))
            self.assertTrue(two.delete("i", "tenant-1", deadline=backends.soon()))
            self.assertEqual([], one.observe(deadline=backends.soon()))

    def test_an_unusable_file_is_unavailable(self):
        driver = self.driver(state_file="/nonexistent/fake.sqlite")
        self.assertRaises(base.Unavailable, self.ensure, driver)


class TestScale(FakeCase):
    def test_what_is_done_with_one_costs_no_look_at_all_of_them(self):
        driver = self.driver()
        with mock.patch.object(driver.cloud, "all", side_effect=AssertionError):
            for number in range(100_000):
                self.ensure(driver, f"i-{number}")
            self.assertEqual(1, len(driver.observe(["i-99999"], deadline=backends.soon())))
        self.assertEqual(100_000, len(driver.observe(deadline=backends.soon())))
