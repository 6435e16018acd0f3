"""Backends that fail: each error has its fate, nothing is made twice, nothing is declared gone."""

import logging
import threading
import time

import fixtures
import testtools

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, codec, keys
from tests.unit.worker import world


class Scripted(testtools.TestCase):
    options: dict[str, object] = {}
    driver_options: dict[str, object] = {}
    backend_names: tuple[str, ...] = ("east",)

    def setUp(self) -> None:
        super().setUp()
        self.world = world.World(self.backend_names, **self.options)
        self.addCleanup(self.world.stop)
        self.one = self.world.start(**self.driver_options)
        self.assertTrue(self.one.wait_ready(world.DEADLINE))
        self.script = self.world.driver().script
        self.addCleanup(self.script.clear)

    def fault(self, instance_id: str):
        return world.until(lambda: self.world.status(instance_id).fault, "a fault shown")


class StoreFails(Scripted):
    def test_that_is_said_once_and_not_for_each_instance(self) -> None:
        logged = self.useFixture(fixtures.FakeLogger("apisvc.worker.reconcile", level=logging.INFO))
        made = [self.world.create() for _ in range(4)]
        for one in made:
            self.world.wait(one, "active")
        whole, failed = self.world.store.get, set()

        away = threading.Event()
        away.set()

        def get(wanted, **deadline):
            if wanted[0].startswith(keys.INSTANCES) and away.is_set():
                failed.add(wanted[0])
                raise errors.StoreUnavailable("The disk is gone.")
            return whole(wanted, **deadline)

        self.world.store.get = get
        for one in made:
            self.one.view.heard_of(one)
        world.until(lambda: len(failed) == 4, "each has met it")
        away.clear()
        world.until(lambda: "is back" in logged.output, "back")
        self.assertEqual(1, logged.output.count("Instances wait for the store: The disk is gone."))


class ClosedSet(Scripted):
    def test_what_passes_is_tried_again(self) -> None:
        for kind in compute.ERRORS:
            if not kind.retryable or kind in (compute.DriverBug, compute.InProgress):
                continue
            self.script.fail(kind("sorry"), times=2)
            made = self.world.create()
            found = self.world.wait(made, "active")
            self.assertIsNone(found.status.fault)
            self.assertIsNone(found.status.retry)
        shown = [e.detail["fault"]["code"] for e in self.world.events() if "fault" in e.detail]
        self.assertIn("no_capacity", shown)

    def test_in_progress_is_no_fault(self) -> None:
        self.script.fail(compute.InProgress(retry_after=0.01), times=2)
        self.world.wait(self.world.create(), "active")
        self.assertEqual([], [e for e in self.world.events() if "fault" in e.detail])

    def test_what_needs_people_waits_for_them(self) -> None:
        for kind in compute.ERRORS:
            if kind.retryable:
                continue
            self.script.fail(kind("no way"), times=1)
            made = self.world.create()
            found = self.world.wait(made, "error")
            self.assertEqual((kind.code, "no way", False), self._shown(found.status.fault))
            self.assertIsNone(found.status.retry)
            self.world.update(made, image_ref="another")
            self.assertIsNone(self.world.wait(made, "active").status.fault)

    def _shown(self, fault) -> tuple[str, str, bool]:
        return fault.code, fault.message, fault.retryable

    def test_delete_ends_what_is_in_error(self) -> None:
        self.script.fail(compute.InvalidSpec, times=None)
        made = self.world.create()
        self.world.wait(made, "error")
        self.world.delete(made)
        self.world.wait_gone(made)
        self.assertEqual(0, self.world.used().instances)

    def test_a_delete_that_fails_goes_on_and_keeps_the_ledger(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.script.fail(compute.Unauthorized("denied"), on="delete", times=None)
        self.world.delete(made)
        self.assertEqual("unauthorized", self.fault(made).code)
        self.assertEqual("deleting", self.world.status(made).state)
        self.assertEqual(1, self.world.used().instances)
        self.script.clear()
        self.world.wait_gone(made)
        self.assertEqual(0, self.world.used().instances)

    def test_after_some_tries_the_state_is_error_and_the_tries_go_on(self) -> None:
        self.script.fail(compute.NoCapacity, times=7)
        made = self.world.create()
        found = self.world.wait(made, "error", settled=False)
        self.assertTrue(found.status.fault.retryable)
        self.assertIsNotNone(found.status.retry)
        self.world.wait(made, "active")

    def test_a_driver_that_raises_anything(self) -> None:
        driver = self.world.driver()
        driver.ensure = lambda workload, deadline: {}["cluster-secret"]
        with self.assertLogs("apisvc.worker.outcome", "ERROR"):
            made = self.world.create()
            fault = self.fault(made)
        self.assertEqual("driver_bug", fault.code)
        self.assertNotIn("cluster-secret", repr(self.world.get(made)))
        del driver.ensure
        self.world.delete(made)
        self.world.wait_gone(made)


class Unsure(Scripted):
    def test_a_lost_response_makes_no_twin(self) -> None:
        self.script.lose_response(times=2)
        made = self.world.create()
        self.world.wait(made, "active")
        self.assertEqual([made], [seen.tag.instance_id for seen in self.world.objects()])

    def test_a_lost_response_of_each_other_call(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        for call, changes, state in (
            ("stop", {"power": "stopped"}, "stopped"),
            ("start", {"power": "running"}, "active"),
            ("reboot", {"reboots": 1}, "active"),
        ):
            self.script.lose_response(on=call)
            self.world.update(made, **changes)
            self.world.wait(made, state)
        self.assertEqual(1, self.world.objects()[0].reboots)
        self.script.lose_response(on="delete")
        self.world.delete(made)
        self.world.wait_gone(made)
        self.assertEqual(0, self.world.used().instances)

    def test_what_cannot_be_looked_at_is_not_gone(self) -> None:
        made = self.world.create()
        before = self.world.wait(made, "active")
        self.script.partial_outage()
        self.one._resyncs[0].look()
        self.one.view.heard_of(made)
        world.until(lambda: self.script.calls["observe"] >= 2, "looked at")
        self.assertEqual(before.status, self.world.status(made))
        self.assertEqual(1, self.script.calls["ensure"])

    def test_an_outage_delays_and_loses_nothing(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.script.outage()
        self.world.update(made, power="stopped")
        other = self.world.create()
        self.assertEqual("unavailable", self.fault(made).code)
        self.assertEqual("unavailable", self.fault(other).code)
        self.script.clear()
        self.world.wait(made, "stopped")
        self.world.wait(other, "active")


def health(of: world.World) -> backends.BackendHealth | None:
    """What the worker last wrote of east."""
    key = keys.join(keys.BACKEND_HEALTH, "east")
    record = of.store.get([key]).records.get(key)
    return codec.decode(record.value, backends.BackendHealth) if record else None


class Operators(Scripted):
    options = {"resync_interval": 0.1}

    def health(self) -> backends.BackendHealth | None:
        return health(self.world)

    def test_a_disabled_backend_is_not_touched_until_enabled(self) -> None:
        self.world.operate(backends.BackendState.DISABLED)
        made = self.world.create()
        calls = self.script.calls["ensure"]
        world.until(lambda: not self.one._sites["east"].queue, "worked off")
        self.assertEqual((calls, "pending"), (self.script.calls["ensure"], self.world.status(made).state))
        self.world.operate(backends.BackendState.ENABLED)
        self.world.wait(made, "active")

    def test_a_draining_backend_keeps_what_it_has(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.world.operate(backends.BackendState.DRAINING)
        self.world.driver().vanish(made)
        world.until(lambda: self.script.calls["ensure"] == 2, "made again")
        self.world.wait(made, "active")

    def test_health_is_written_when_it_changes(self) -> None:
        self.assertTrue(world.until(self.health).healthy)
        self.script.outage()
        world.until(lambda: not self.health().healthy, "unhealthy")
        self.script.clear()
        world.until(lambda: self.health().healthy, "healthy again")
        self.assertEqual(
            [True, False, True], [e.detail["healthy"] for e in self.world.events("backend.health")]
        )


class Looks(Scripted):
    """What one look at a backend tells the choice of a backend."""

    options = {"resync_interval": 0.1, "capacity_interval": 0.1}
    driver_options = {"capacity": 3}

    def health(self) -> backends.BackendHealth | None:
        return health(self.world)

    def test_what_the_nodes_have_free_comes_with_it(self) -> None:
        self.assertEqual(3.0, world.until(self.free))
        made = self.world.create(vcpus=2)
        self.world.wait(made, "active")
        world.until(lambda: self.free() == 1.0, "one left")
        world.until(lambda: self.health().instances == 1, "counted")
        self.world.driver().cordon("fake-node", False, deadline=time.monotonic() + 10)
        world.until(lambda: self.health().capacity.rooms == (), "no room")
        # Neither is news, and a backend that does not tell is as well as before.
        self.script.fail(compute.Unauthorized, on="nodes", times=None)
        world.until(lambda: self.health().capacity is None, "not known any more")
        self.assertTrue(self.health().healthy)
        self.assertEqual([True], [e.detail["healthy"] for e in self.world.events("backend.health")])

    def free(self) -> float | None:
        health = self.health()
        rooms = health.capacity.rooms if health and health.capacity else ()
        return rooms[0].vcpus if rooms else None

    def test_nodes_that_hang_keep_nothing_from_being_seen(self) -> None:
        world.until(self.free)
        with self.script.frozen("nodes"):
            asked = self.script.calls["nodes"]
            world.until(lambda: self.script.calls["nodes"] > asked, "it hangs")
            looks = self.script.calls["observe"]
            world.until(lambda: self.script.calls["observe"] > looks + 3, "looked at again and again")
            made = self.world.create()
            self.world.wait(made, "active")

    def test_what_was_seen_last_is_remembered(self) -> None:
        seen = world.until(lambda: self.health() and self.health().seen_at)
        self.script.outage()
        down = world.until(lambda: (found := self.health()) and not found.healthy and found)
        self.assertGreaterEqual(down.seen_at, seen)
        self.assertLessEqual(down.seen_at, down.since)
        self.assertGreater(down.good_until, down.checked_at)


class Hanging(Scripted):
    backend_names = ("east", "west")

    def test_a_backend_that_hangs_costs_others_nothing(self) -> None:
        with self.script.frozen():
            stuck = [self.world.create(backend="east") for _ in range(20)]
            made = self.world.create(backend="west")
            self.world.wait(made, "active", settled=False)
        for one in stuck:
            self.world.wait(one, "active")
