"""The shipped suite finds drivers that do not keep the contract."""

import unittest

from apisvc.compute import base, fake, fakecloud
from apisvc.testing import backends, compute


def judge(driver, test, capabilities=("cordon", "logs", "nodes", "power", "watch"), patience=0.3):
    """The result of one scenario for a driver class made from the fake one."""
    cloud = fakecloud.MemoryCloud()

    class Case(compute.ComputeSuite, unittest.TestCase):
        def make_driver(self, owner):
            return driver(backends.context(driver, owner=owner, state_dir=""), cloud)

        def running(self):
            return {"labels": {"fake.log": "one\ntwo\nthree"}}

        def exiting(self, code):
            return {"labels": {"fake.exit": str(code)}}

        def invalid(self):
            return {"labels": {"fake.delay": "soon"}}

    Case.capabilities, Case.patience = capabilities, patience
    result = unittest.TestResult()
    Case(test).run(result)
    return result


class TestSuite(unittest.TestCase):
    def assert_found(self, driver, test, **fields):
        self.assertFalse(judge(driver, test, **fields).wasSuccessful(), f"{test} missed it")

    def test_a_good_driver_passes(self):
        result = judge(fake.FakeDriver, "test_ensure_makes_it_run_and_tags_it", patience=30)
        self.assertTrue(result.wasSuccessful())
        self.assertEqual(1, result.testsRun)

    def test_capabilities_declared_and_lacking_or_had_and_not_declared(self):
        test = "test_it_has_the_capabilities_it_declares"
        self.assert_found(
            fake.FakeDriver, test, capabilities=("console", "cordon", "logs", "nodes", "power", "watch")
        )
        self.assert_found(fake.FakeDriver, test, capabilities=("logs",))

    def test_a_capability_that_is_inherited_and_does_nothing(self):
        class Driver(fake.FakeDriver):
            def stop(self, workload, *, deadline):
                raise NotImplementedError

        self.assert_found(Driver, "test_power_stop_keeps_it_and_start_runs_it_again")

    def test_what_is_not_declared_is_skipped_by_name(self):
        result = judge(fake.FakeDriver, "test_nodes_are_listed", capabilities=(), patience=30)
        self.assertIn("nodes", result.skipped[0][1])

    def test_twins(self):
        class Driver(fake.FakeDriver):
            def observe(self, ids=None, *, deadline):
                return list(super().observe(ids, deadline=deadline)) * 2

        self.assert_found(Driver, "test_ensure_again_changes_nothing")

    def test_an_open_door_to_others(self):
        class Driver(fake.FakeDriver):
            def observe(self, ids=None, *, deadline):
                return self.objects()

        self.assert_found(Driver, "test_other_owners_are_neither_seen_nor_touched")

    def test_errors_of_its_own(self):
        class Driver(fake.FakeDriver):
            def delete(self, instance_id, tenant_id, *, deadline):
                if "/" in instance_id:
                    raise OSError(instance_id)
                return super().delete(instance_id, tenant_id, deadline=deadline)

        self.assert_found(Driver, "test_odd_ids_are_answered_in_the_contracts_words")

    def test_a_deadline_that_is_ignored(self):
        class Driver(fake.FakeDriver):
            def check(self, *, deadline):
                return base.Health()

        self.assert_found(Driver, "test_past_its_deadline_a_call_is_a_timeout")

    def test_a_reboot_that_is_repeated(self):
        class Driver(fake.FakeDriver):
            def _reboot(self, workload, found, now):
                found.reboots = -1
                return super()._reboot(workload, found, now)

        self.assert_found(Driver, "test_power_reboot_happens_once_for_each_number")

    def test_a_secret_told(self):
        class Driver(fake.FakeDriver):
            def ensure(self, workload, *, deadline):
                try:
                    return super().ensure(workload, deadline=deadline)
                except base.InvalidSpec as error:
                    raise base.InvalidSpec(f"{error} {dict(workload.secret_env)}") from None

        self.assert_found(Driver, "test_what_the_backend_refuses_is_an_invalid_spec_and_leaves_nothing")


class TestHalfMade(unittest.TestCase):
    def test_a_suite_that_is_told_of_no_driver_fails(self):
        class Case(compute.ComputeSuite, unittest.TestCase):
            pass

        result = unittest.TestResult()
        Case("test_check_tells_that_it_is_usable").run(result)
        self.assertEqual(([], 1), (result.skipped, len(result.errors)))
