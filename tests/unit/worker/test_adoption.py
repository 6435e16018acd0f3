"""What others made becomes an instance: adopted once, as it is, whatever happens in between."""

import types
import unittest

from apisvc.compute import base as compute
from apisvc.model import keys
from apisvc.testing import backends, faults
from apisvc.worker import reconcile, steps
from tests.unit.worker import world


class AdoptionTest(unittest.TestCase):
    def setUp(self):
        self.world = world.World()
        self.addCleanup(self.world.stop)

    def adopt(self, handle="vm-1", **spec):
        """The record that apisvc-manage writes, of a stray that is there."""
        self.world.drivers[-1]["east"].add_stray(handle)
        return self.world.create(adopt=handle, **spec)

    def handles(self):
        return {seen.tag.instance_id: seen.handle for seen in self.world.objects()}

    def calls(self, name):
        return sum(drivers["east"].script.calls[name] for drivers in self.world.drivers)

    def test_it_becomes_active_as_it_is(self):
        self.world.start()
        made = self.adopt()
        status = self.world.wait(made, "active").status
        self.assertEqual(("vm-1", self.world.get(made).spec.hash), (status.handle, status.spec_hash))
        self.assertEqual({made: "vm-1"}, self.handles())
        self.assertEqual((1, 0), (self.calls("adopt"), self.calls("ensure")))

    def test_a_stopped_one_stays_stopped(self):
        self.world.start()
        self.world.driver().add_stray("vm-2", phase=compute.Phase.STOPPED)
        made = self.world.create(adopt="vm-2", power="stopped")
        self.world.wait(made, "stopped")
        self.assertEqual((0, 0), (self.calls("stop"), self.calls("start")))

    def test_afterwards_it_is_an_instance_like_others(self):
        self.world.start()
        made = self.adopt()
        self.world.wait(made, "active")
        self.world.update(made, power="stopped")
        self.world.wait(made, "stopped")
        self.world.update(made, power="running", env={"A": "1"})
        self.world.wait(made, "active")
        self.assertEqual(1, len(self.world.objects()))
        self.world.driver().vanish(made)
        self.world.update(made, env={"A": "2"})
        self.world.wait(made, "active")
        self.assertEqual(1, self.calls("adopt"))
        key = keys.join(keys.ADOPTIONS, "east", "vm-1")
        self.world.delete(made)
        self.world.wait_gone(made)
        self.assertNotIn(key, self.world.store.get([key]).records)
        self.assertEqual(0, self.world.used().instances)

    def test_what_went_meanwhile_is_an_error_and_takes_nothing_else(self):
        self.world.start()
        made = self.world.create(adopt="never-there")
        found = self.world.wait(made, "error")
        self.assertEqual(("not_found", False), (found.status.fault.code, found.status.fault.retryable))
        self.assertEqual(({}, 0), (self.handles(), self.calls("ensure")))
        self.world.delete(made)
        self.world.wait_gone(made)
        self.assertEqual(0, self.world.used().instances)

    def test_deleted_before_it_was_adopted_the_object_is_left_alone(self):
        self.world.load()
        made = self.adopt()
        self.world.delete(made)
        self.world.start()
        self.world.wait_gone(made)
        self.assertEqual(
            ["vm-1"], [one.handle for one in self.world.driver().strays(deadline=backends.soon())]
        )

    def test_a_lost_answer(self):
        self.world.start(before=lambda drivers: drivers["east"].script.lose_response(on="adopt"))
        made = self.adopt()
        self.world.wait(made, "active")
        self.assertEqual({made: "vm-1"}, self.handles())
        self.assertEqual(0, self.calls("ensure"))

    def test_a_driver_that_cannot(self):
        self.world.load()
        made = self.world.get(self.adopt())
        site = types.SimpleNamespace(driver=object())
        with self.assertRaisesRegex(compute.InvalidSpec, "cannot adopt"):
            reconcile.Reconciler._ensure(site, made, None)

    def test_whoever_dies_wherever_it_is_adopted_once(self):
        places = [
            (when, step)
            for step in ("store.claim", "driver.ensure_tenant", "driver.adopt", "store.settle")
            for when in ("before", "after")
        ]
        for when, step in places:
            with self.subTest(f"{when} {step}"):
                self.assertIn(step, steps.NAMES)
                here = world.World()
                self.addCleanup(here.stop)
                injector = faults.Injector([faults.Fault("die", when, step)])
                first = here.start(injector)
                here.driver().add_stray("vm-1")
                made = here.create(adopt="vm-1")
                world.until(injector.dead.is_set, "dead")
                first.members._term.lease.revoke()  # what its end does, without waiting for it
                here.start()
                self.assertEqual("vm-1", here.wait(made, "active").status.handle)
                self.assertEqual([made], [seen.tag.instance_id for seen in here.objects()])
                self.assertEqual(0, sum(d["east"].script.calls["ensure"] for d in here.drivers))
                self.assertEqual([], list(here.driver().strays(deadline=backends.soon())))
