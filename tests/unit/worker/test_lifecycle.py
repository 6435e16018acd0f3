"""From the record to the backend and back: what users ask for, on the happy path."""

import fixtures
import testtools

from apisvc.compute import base as compute
from apisvc.model import keys
from tests.unit.worker import world


class Lifecycle(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.addCleanup(self.world.stop)
        self.one = self.world.start()
        self.assertTrue(self.one.wait_ready(world.DEADLINE))

    def test_a_create_is_two_commits(self) -> None:
        before = self.world.store.revision()
        made = self.world.create()
        found = self.world.wait(made, "active")
        self.assertEqual(3, self.world.store.revision() - before, "the POST and two of the worker")
        self.assertEqual("fake-node", found.status.node)
        self.assertEqual([made], [seen.tag.instance_id for seen in self.world.objects()])
        states = [(e.detail["from"], e.detail["state"]) for e in self.world.events("instance.state")]
        self.assertEqual([("pending", "building"), ("building", "active")], states)

    def test_no_polling_interval_is_in_the_way(self) -> None:
        """How long it takes is measured by ``benchmarks/latency.py``; here, that nothing waits for a next look."""
        for pauses in ("LOOKS", "LOOKS_WATCHED"):
            self.useFixture(fixtures.MonkeyPatch(f"apisvc.worker.site.{pauses}", (3600.0, 3600.0)))
        for delay in ("0", "0.15"):  # active at once, and when the backend says so
            self.world.wait(self.world.create(labels={"fake.delay": delay}), "active")

    def test_stop_start_reboot_delete(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.world.update(made, power="stopped")
        self.world.wait(made, "stopped")
        self.assertEqual([compute.Phase.STOPPED], [seen.phase for seen in self.world.objects()])
        self.world.update(made, power="running")
        first = self.world.wait(made, "active")
        self.world.update(made, reboots=1)
        world.until(lambda: self.world.status(made).reboots == 1, "rebooted")
        found = self.world.wait(made, "active")
        self.assertGreater(found.status.started_at, first.status.started_at)
        self.assertEqual(1, self.world.driver().script.calls["reboot"])
        self.world.delete(made)
        self.world.wait_gone(made)
        self.assertEqual([], self.world.objects())
        self.assertEqual(0, self.world.used().instances)
        self.assertEqual([], self.world.claims())
        left = [r.key for r in self.world.store.scan("").records if made in r.key or made[-12:] in r.key]
        self.assertEqual([keys.join(keys.TOMBSTONES, made)], left)

    def test_a_new_spec_replaces_the_object(self) -> None:
        made = self.world.create()
        old = self.world.wait(made, "active")
        self.world.update(made, image_ref="other")
        found = world.until(
            lambda: (i := self.world.wait(made, "active")).status.spec_hash != old.status.spec_hash and i
        )
        self.assertEqual(found.spec.hash, found.status.spec_hash)
        self.assertEqual([found.spec.hash], [seen.tag.spec_hash for seen in self.world.objects()])

    def test_created_at_rest(self) -> None:
        made = self.world.create(power="stopped")
        self.world.wait(made, "stopped")
        self.assertEqual([compute.Phase.STOPPED], [seen.phase for seen in self.world.objects()])

    def test_what_takes_time_is_waited_for(self) -> None:
        made = self.world.create(labels={"fake.delay": "0.1"})
        self.world.wait(made, "active")
        self.world.update(made, power="stopped")
        self.world.wait(made, "stopped")
        self.world.delete(made)
        self.world.wait_gone(made)
        self.assertEqual([], self.world.objects())
        states = ["building", "active", "stopping", "stopped", "deleting"]
        self.assertEqual(states, [event.detail["state"] for event in self.world.events("instance.state")])

    def test_the_tenant_is_prepared_once(self) -> None:
        for _ in range(3):
            self.world.wait(self.world.create(), "active")
        self.assertEqual(1, self.world.driver().script.calls["ensure_tenant"])


class EndsByItself(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.addCleanup(self.world.stop)
        self.world.start()

    def test_a_job_runs_once_and_its_exit_code_is_kept(self) -> None:
        made = self.world.create(restart_policy="never", labels={"fake.exit": "3"})
        found = self.world.wait(made, "stopped")
        self.assertEqual(3, found.status.exit_code)
        self.assertEqual(1, self.world.driver().script.calls["ensure"])
        self.assertEqual(0, self.world.driver().script.calls["start"])

    def test_it_ends_later(self) -> None:
        made = self.world.create(restart_policy="never")
        self.world.wait(made, "active")
        self.world.driver().end(made, 7)
        self.assertEqual(7, self.world.wait(made, "stopped").status.exit_code)

    def test_a_failure_is_restarted_by_the_backend(self) -> None:
        made = self.world.create(restart_policy="on-failure", labels={"fake.exit": "1"})
        self.assertEqual(1, self.world.wait(made, "active").status.restarts)

    def test_stopped_and_started_after_its_end_it_runs_again(self) -> None:
        made = self.world.create(restart_policy="never")
        self.world.wait(made, "active")
        self.world.driver().end(made, 0)
        self.world.wait(made, "stopped")
        self.world.update(made, power="stopped")
        self.world.wait(made, "stopped")
        self.world.update(made, power="running")
        self.world.wait(made, "active")
        self.assertEqual(1, self.world.driver().script.calls["start"])

    def test_a_finished_job_whose_remains_vanish_stays_finished(self) -> None:
        made = self.world.create(restart_policy="never", labels={"fake.exit": "0"})
        self.world.wait(made, "stopped")
        self.world.driver().vanish(made)
        found = world.until(lambda: (i := self.world.get(made)).status.reason == "Gone" and i)
        self.assertEqual("stopped", found.status.state)
        self.assertEqual(0, found.status.exit_code)
        self.assertEqual([], self.world.objects())
