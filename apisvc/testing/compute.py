"""The contract of compute drivers as tests: :mod:`apisvc.compute.base`, sentence by sentence.

A driver's author says what the driver is and what runs on it, and gets every scenario::

    import unittest

    from apisvc.testing import backends, compute


    class TestMyDriver(compute.ComputeSuite, unittest.TestCase):
        capabilities = ("logs", "power")

        def make_driver(self, owner):
            return MyDriver(backends.context(MyDriver, owner=owner, state_dir=FOLDER, url=URL))

        def running(self):
            return {"image": "busybox", "command": ["sh", "-c", "echo one; echo two; echo three; sleep 999"]}

        def exiting(self, code):
            return {"image": "busybox", "command": ["sh", "-c", f"exit {code}"]}

        def invalid(self):
            return {"image": "NOT AN IMAGE"}

What a driver does not declare is skipped by name; what it declares and lacks, or
has and does not declare, fails.
"""

import dataclasses
import functools
import time
from collections.abc import Callable

from oslo_config import cfg

from apisvc.compute import base
from apisvc.testing import (
    compute_access,
    compute_adopt,
    compute_capabilities,
    compute_case,
    compute_fields,
    compute_machines,
)

Phase = base.Phase
SECRET = "correct-horse-battery-staple"


class ComputeSuite(
    compute_capabilities.PowerScenarios,
    compute_capabilities.LogsScenarios,
    compute_capabilities.NodesScenarios,
    compute_capabilities.WatchScenarios,
    compute_machines.ConsoleScenarios,
    compute_machines.ResizeScenarios,
    compute_access.ExecScenarios,
    compute_access.CredentialsScenarios,
    compute_access.CordonScenarios,
    compute_fields.FieldsScenarios,
    compute_fields.PartsOfLogsScenarios,
    compute_adopt.AdoptScenarios,
    compute_case.ComputeCase,
):
    """Every scenario. Combine it with ``unittest.TestCase``, as shown at the top."""

    # What it says of itself

    def test_it_is_written_for_this_contract(self) -> None:
        self.assertRegex(self.driver.contract, r"^\d+\.\d+$")
        self.assertEqual(base.CONTRACT.split(".")[0], self.driver.contract.split(".")[0])

    def test_it_has_the_capabilities_it_declares(self) -> None:
        self.assertEqual(tuple(sorted(self.capabilities)), base.capabilities(type(self.driver)))

    def test_each_option_says_what_it_is_for(self) -> None:
        for option in type(self.driver).options():
            self.assertIsInstance(option, cfg.Opt)
            self.assertTrue(option.help, f"{option.name} has no help")

    def test_check_tells_that_it_is_usable(self) -> None:
        self.assertIsInstance(self.driver.check(deadline=self.soon()), base.Health)

    # Tenants

    def test_a_tenant_is_ensured_again_and_changed(self) -> None:
        self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        changed = dataclasses.replace(self.tenant, limits={**self.tenant.limits, "vcpus": 8})
        self.driver.ensure_tenant(changed, deadline=self.soon())

    def test_a_tenant_is_removed_and_may_come_back(self) -> None:
        for _ in range(2):
            self.until(
                lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "it is removed"
            )
        self.until(self._tenant_again, "it is back")
        self.run_one()

    def _tenant_again(self) -> bool:
        try:
            self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        except base.InProgress:
            return False
        return True

    def test_a_tenant_never_seen_is_removed(self) -> None:
        self.assertTrue(self.driver.remove_tenant("never-seen", deadline=self.soon()))

    # ensure

    def test_ensure_makes_it_run_and_tags_it(self) -> None:
        workload = self.workload(spec_hash="0123456789abcdef")
        answer = self.ensure(workload)
        seen = self.until_phase(workload.id, Phase.RUNNING)
        tag = base.Tag(self.owner, self.tenant.id, workload.id, "0123456789abcdef", base.CONTRACT)
        self.assertEqual(tag, answer.tag)
        self.assertEqual(tag, seen.tag)
        self.assertEqual(1, self.count(workload.id))

    def test_ensure_again_changes_nothing(self) -> None:
        workload = self.run_one()
        before = self.look(workload.id)
        for _ in range(5):
            self.ensure(workload)
        self.assertEqual(before, self.until_phase(workload.id, Phase.RUNNING))
        self.assertEqual(1, self.count(workload.id))

    def test_ensure_at_once_makes_no_twin(self) -> None:
        workload = self.workload()
        drivers = [self.another() for _ in range(4)] * 2
        answers = self.at_once(
            *(lambda driver=driver: driver.ensure(workload, deadline=self.soon()) for driver in drivers)
        )
        for answer in answers:
            self.assertIsInstance(answer, base.Observed | base.InProgress)
        self.until_phase(workload.id, Phase.RUNNING)
        self.assertEqual(1, self.count(workload.id))

    def test_another_spec_replaces_it(self) -> None:
        workload = self.run_one(spec_hash="one")
        self.ensure(dataclasses.replace(workload, spec_hash="two"))
        self.until(self._converged(dataclasses.replace(workload, spec_hash="two")), "it is replaced")
        self.assertEqual(1, self.count(workload.id))

    def _converged(self, workload: base.Workload) -> Callable[[], bool]:
        def converged() -> bool:
            seen = self.look(workload.id)
            if seen is None:  # taken away before it is made anew
                self.ensure(workload)
                return False
            return seen.tag.spec_hash == workload.spec_hash and seen.phase is Phase.RUNNING

        return converged

    def test_what_the_backend_refuses_is_an_invalid_spec_and_leaves_nothing(self) -> None:
        workload = self.workload(**self.invalid(), secret_env={"PASSWORD": SECRET})
        with self.assertRaises(base.InvalidSpec) as caught:
            self.ensure(workload)
        self.assertNotIn(SECRET, str(caught.exception))
        self.assertTrue(caught.exception.message)
        self.assertEqual([], self.observe([workload.id]))

    def test_an_invalid_change_leaves_what_runs(self) -> None:
        workload = self.run_one()
        bad = dataclasses.replace(workload, spec_hash="bad", **self.invalid())
        with self.assertRaises(base.InvalidSpec):
            self.ensure(bad)
        seen = self.until_phase(workload.id, Phase.RUNNING)
        self.assertEqual(workload.spec_hash, seen.tag.spec_hash)

    # Ends by itself

    def test_exit_codes_are_kept(self) -> None:
        for code in (0, 7):
            workload = self.ended(code)
            self.ensure(workload)
            seen = self.until_phase(workload.id, Phase.EXITED)
            self.assertEqual(code, seen.exit_code)

    def test_what_exited_is_left_until_the_spec_moves(self) -> None:
        workload = self.ended(3)
        self.ensure(workload)
        before = self.until_phase(workload.id, Phase.EXITED)
        self.ensure(workload)
        self.assertEqual(before, self.look(workload.id))
        fresh = self.workload(id=workload.id, spec_hash="fresh")
        self.ensure(fresh)
        self.until(self._converged(fresh), "it runs by the new spec")

    def test_restart_policy(self) -> None:
        always, on_failure = (
            self.ended(0, restart_policy="always"),
            self.ended(1, restart_policy="on-failure"),
        )
        fine = self.ended(0, restart_policy="on-failure")
        for workload in (always, on_failure, fine):
            self.ensure(workload)
        for workload in (always, on_failure):
            self.until(functools.partial(self._restarts, workload.id), workload.restart_policy)
        self.until_phase(fine.id, Phase.EXITED, exit_code=0, restarts=0)

    def _restarts(self, instance_id: str) -> int:
        seen = self.look(instance_id)
        return seen.restarts if seen else 0

    # observe

    def test_observe_all_some_and_none(self) -> None:
        one, two = self.run_one().id, self.run_one().id
        missing = "00000000-0000-7000-8000-000000000000"
        self.assertEqual({one, two}, {seen.tag.instance_id for seen in self.observe()})
        self.assertEqual([one], [seen.tag.instance_id for seen in self.observe([one, missing])])
        self.assertEqual([], self.observe([missing]))
        self.assertEqual([], self.observe([]))

    def test_a_new_driver_finds_what_is_there(self) -> None:
        workload = self.run_one()
        self.driver.close()
        self.driver = self.another()
        seen = self.look(workload.id)
        assert seen is not None
        self.assertEqual(Phase.RUNNING, seen.phase)
        self.ensure(workload)
        self.assertEqual(1, self.count(workload.id))

    def test_other_owners_are_neither_seen_nor_touched(self) -> None:
        workload = self.run_one()
        other = self.another(owner=f"{self.owner}-other")
        self.assertEqual([], list(other.observe(deadline=self.soon())))
        self.assertEqual([], list(other.observe([workload.id], deadline=self.soon())))
        self.assertTrue(other.delete(workload.id, self.tenant.id, deadline=self.soon()))
        self.until_phase(workload.id, Phase.RUNNING)

    # delete

    def test_delete_of_what_never_was_is_true(self) -> None:
        missing = "00000000-0000-7000-8000-000000000000"
        self.assertTrue(self.driver.delete(missing, self.tenant.id, deadline=self.soon()))

    def test_delete_again_until_it_is_gone(self) -> None:
        workload = self.run_one()
        self.gone(workload.id)
        self.assertIsNone(self.look(workload.id))
        self.assertEqual(0, self.count(workload.id))
        self.assertTrue(self.driver.delete(workload.id, self.tenant.id, deadline=self.soon()))

    def test_delete_right_after_ensure(self) -> None:
        workload = self.workload()
        self.ensure(workload)
        self.gone(workload.id)
        self.assertEqual(0, self.count(workload.id))

    def test_delete_at_once(self) -> None:
        workload = self.run_one()
        drivers = [self.another() for _ in range(4)]
        answers = self.at_once(
            *(
                lambda driver=driver: driver.delete(workload.id, self.tenant.id, deadline=self.soon())
                for driver in drivers
            )
        )
        for answer in answers:
            self.assertIsInstance(answer, bool | base.InProgress)
        self.gone(workload.id)
        self.assertEqual(0, self.count(workload.id))

    def test_the_same_id_may_come_back(self) -> None:
        workload = self.run_one()
        self.gone(workload.id)
        self.ensure(workload)
        self.until_phase(workload.id, Phase.RUNNING)
        self.assertEqual(1, self.count(workload.id))

    # Errors

    def test_past_its_deadline_a_call_is_a_timeout(self) -> None:
        past, workload = time.monotonic() - 1, self.workload()
        calls = [
            lambda: self.driver.check(deadline=past),
            lambda: self.driver.ensure_tenant(self.tenant, deadline=past),
            lambda: self.driver.remove_tenant(self.tenant.id, deadline=past),
            lambda: self.driver.ensure(workload, deadline=past),
            lambda: self.driver.observe(deadline=past),
            lambda: self.driver.delete(workload.id, self.tenant.id, deadline=past),
        ]
        for call in calls:
            self.assertRaises(base.Timeout, call)
        self.assertEqual(0, self.count(workload.id))

    def test_odd_ids_are_answered_in_the_contracts_words(self) -> None:
        for odd in ("", ".", "..", "../../etc", "a/b", "x" * 300, "\n", "ü"):
            for call in (
                lambda odd=odd: self.driver.observe([odd], deadline=self.soon()),
                lambda odd=odd: self.driver.delete(odd, self.tenant.id, deadline=self.soon()),
            ):
                try:
                    self.assertIn(call(), ([], (), True))
                except base.DriverError as error:
                    self.assertTrue(error.message)

    def test_a_nul_byte_is_an_invalid_spec_or_harmless(self) -> None:
        workload = self.workload(env={"ODD": "a\0b"})
        try:
            self.ensure(workload)
        except base.DriverError as error:
            self.assertIsInstance(error, base.InvalidSpec)
