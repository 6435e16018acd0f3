"""What changes behind our back."""

import dataclasses
import threading

import msgspec
import testtools

from apisvc.compute import base as compute
from apisvc.model import codec, instances, keys, tenants
from apisvc.storage import base as storage
from tests.unit.worker import world


class Deaf(testtools.TestCase):
    """The periodic look alone; the driver's own watch is not listened to."""

    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.addCleanup(self.world.stop)
        self.one = self.world.start(before=self._deafen)
        self.assertTrue(self.one.wait_ready(world.DEADLINE))
        self.resync = self.one._resyncs[0]
        self.driver = self.world.driver()

    def _deafen(self, drivers) -> None:
        for driver in drivers.values():
            driver.watch = lambda stop: iter(lambda: stop.wait() and "", "")

    def test_what_was_killed_is_made_again(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.driver.vanish(made)
        self.resync.look()
        world.until(lambda: self.driver.script.calls["ensure"] == 2, "made again")
        self.world.wait(made, "active")
        self.assertEqual([made], [seen.tag.instance_id for seen in self.world.objects()])

    def test_what_was_stopped_is_started(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        with self.driver.cloud.locked():
            self.driver._stop(self.driver._find(made, 1e12), 0.0)
        self.resync.look()
        world.until(lambda: self.driver.script.calls["start"] == 1, "started")
        self.world.wait(made, "active")

    def test_an_exit_is_recorded_once(self) -> None:
        made = self.world.create(restart_policy="never")
        self.world.wait(made, "active")
        self.driver.end(made, 9)
        self.resync.look()
        self.assertEqual(9, self.world.wait(made, "stopped").status.exit_code)
        revision = self.world.store.revision()
        self.resync.look()
        world.until(lambda: not self.one._sites["east"].queue, "worked off")
        self.assertEqual(revision, self.world.store.revision(), "nothing changed, nothing written")

    def _object(self, instance_id: str) -> None:
        """Something that bears our tag and that we did not make."""
        made = self.world.create()
        self.world.wait(made, "active")
        with self.driver.cloud.locked():
            found = self.driver.cloud.get(made)
            tag = dataclasses.replace(found.tag, instance_id=instance_id)
            self.driver.cloud.put(type(found)(tag, found.timeline, power="running"))
        self.world.delete(made)
        self.world.wait_gone(made)

    def test_an_orphan_is_kept_and_reported_once(self) -> None:
        stranger = self.world.transactor.ids.new()
        self._object(stranger)
        self.resync.look()
        self.resync.look()
        self.assertEqual([stranger], [seen.tag.instance_id for seen in self.world.objects()])
        self.assertEqual([stranger], [e.target.id for e in self.world.events("orphan.found")])

    def test_what_the_worker_has_not_heard_of_yet_is_no_orphan(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        del self.one.view._known[made]
        self.resync.look()
        self.assertEqual([made], [seen.tag.instance_id for seen in self.world.objects()])
        self.assertEqual([], self.world.events("orphan.found"))

    def test_what_has_a_tombstone_is_garbage(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.world.delete(made)
        self.world.wait_gone(made)
        world.until(lambda: self.one.view.get(made) is None, "heard of its end")
        self._object(made)
        self.resync.look()
        self.assertEqual([], self.world.objects())
        self.assertEqual([], self.world.events("orphan.found"))

    def test_garbage_that_cannot_be_deleted_keeps_nothing_else_waiting(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.world.delete(made)
        self.world.wait_gone(made)
        world.until(lambda: self.one.view.get(made) is None, "heard of its end")
        self._object(made)
        stranger = self.world.transactor.ids.new()
        self._object(stranger)
        self.driver.script.fail(compute.NoCapacity, on="delete", instance=made, times=1)
        self.resync.look()
        self.assertEqual([stranger], [e.target.id for e in self.world.events("orphan.found")])
        self.resync.look()
        self.assertEqual([stranger], [seen.tag.instance_id for seen in self.world.objects()])

    def test_a_watch_that_ends_by_itself_is_opened_again_after_a_pause(self) -> None:
        opened: list[int] = []
        self.driver.watch = lambda stop: opened.append(1) or iter(())
        listening = threading.Thread(target=self.resync._listen)
        listening.start()
        world.until(lambda: len(opened) >= 2, "opened again")
        self.resync.stop()
        listening.join(world.DEADLINE)
        self.assertLess(len(opened), 10)

    def test_after_a_gap_of_the_watch_what_was_at_rest_is_looked_at_too(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.driver.vanish(made)
        self.resync._heard("")
        world.until(lambda: self.driver.script.calls["ensure"] == 2, "made again")
        self.world.wait(made, "active")

    def test_a_term_begins_with_a_look(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        self.driver.vanish(made)
        self.one._began(self.one.members.term)
        world.until(lambda: self.driver.script.calls["ensure"] == 2, "made again")

    def test_an_older_dump_adopts_what_runs(self) -> None:
        made = self.world.create()
        runs = self.world.wait(made, "active")
        older = as_posted(runs)
        self.world.store.commit([], [storage.Put(self.world.key(made), codec.encode(older))])
        found = self.world.wait(made, "active")
        self.assertEqual(runs.status.started_at, found.status.started_at, "the same run")
        self.assertEqual(1, len(self.world.objects()))


def as_posted(runs: instances.Instance) -> instances.Instance:
    """The record as it was right after the POST."""
    return msgspec.structs.replace(runs, status=instances.Status())


class Listening(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.addCleanup(self.world.stop)
        self.world.start()

    def test_the_backends_word_is_enough(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        driver = self.world.driver()
        driver.vanish(made)
        world.until(lambda: driver.script.calls["ensure"] == 2, "made again")
        self.world.wait(made, "active")


class Unreadable(testtools.TestCase):
    def test_one_bad_record_does_not_keep_others_from_being_served(self) -> None:
        here = world.World()
        self.addCleanup(here.stop)
        bad = storage.Put(here.key("bad"), b'{"id": "bad"}')
        here.store.commit([], [bad])
        with self.assertLogs("apisvc.worker.view", "ERROR"):
            self.assertTrue(here.start().wait_ready(world.DEADLINE))
        here.wait(here.create(), "active")


class Removing(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World(("east", "west"))
        self.addCleanup(self.world.stop)
        self.one = self.world.start()

    def test_all_instances_of_a_tenant_are_asked_to_go_though_the_first_are_stuck(self) -> None:
        made = [self.world.create() for _ in range(5)]
        for one in made:
            self.world.wait(one, "active")
        self.one._removal._page = 2
        self.world.driver().script.fail(compute.Unavailable, on="delete", times=None)
        removing = msgspec.structs.replace(self.world.tenant, state=tenants.TenantState.REMOVING)
        key = keys.join(keys.TENANTS, removing.id)
        self.world.store.commit([], [storage.Put(key, codec.encode(removing))])
        world.until(lambda: all(self.world.get(one).deleted_at for one in made), "all asked")

    def test_a_tenant_is_emptied_and_removed(self) -> None:
        made = [self.world.create(backend=name) for name in ("east", "west", "east")]
        for one in made:
            self.world.wait(one, "active")
        key = keys.join(keys.TENANTS, self.world.tenant.id)
        removing = msgspec.structs.replace(self.world.tenant, state=tenants.TenantState.REMOVING)
        self.world.store.commit([], [storage.Put(key, codec.encode(removing))])
        world.until(lambda: key not in self.world.store.get([key]).records, "removed")
        for name in ("east", "west"):
            self.assertEqual([], self.world.objects(name))
            self.assertEqual(set(), self.world.driver(name)._tenants)
        left = [r.key for r in self.world.store.scan("").records if self.world.tenant.id in r.key]
        self.assertEqual([], [key for key in left if not key.startswith(keys.EVENTS)])

    def test_a_backend_out_of_reach_delays_it(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        script = self.world.driver("west").script
        script.fail(compute.Unavailable, on="remove_tenant", times=1)
        key = keys.join(keys.TENANTS, self.world.tenant.id)
        removing = msgspec.structs.replace(self.world.tenant, state=tenants.TenantState.REMOVING)
        self.world.store.commit([], [storage.Put(key, codec.encode(removing))])
        world.until(lambda: key not in self.world.store.get([key]).records, "removed")
        self.assertEqual(2, script.calls["remove_tenant"])
        world.until(lambda: not self.one.view._sites["east"]._tenants, "forgotten")
