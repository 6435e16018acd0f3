import contextlib
import logging
import threading
import time

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.compute import fake
from apisvc.model import backends as model
from apisvc.schemas import backends as schemas
from apisvc.service import breaker, context, live
from apisvc.testing import backends
from tests.functional import deployment
from tests.unit.service import instances_case


class BreakerTest(instances_case.InstancesCase):
    """Closed, open, half-open; and no more calls than slots."""

    def setUp(self):
        super().setUp()
        self.at = 0.0
        self.breaker = breaker.Breaker("east", calls=2, failures=3, pause=5.0, clock=lambda: self.at)

    def call(self, work=lambda: "fine", seconds=30.0):
        return self.breaker.start(work).result(time.monotonic() + seconds)

    def fail(self, error=compute.Unavailable):
        def work():
            raise error()

        self.assertRaises(error, self.call, work)

    def test_opens_after_failures_in_a_row_and_asks_again_after_a_pause(self):
        self.fail()
        self.fail()
        self.assertEqual("fine", self.call())
        for _ in range(3):
            self.fail()
        error = self.assertRaises(errors.BackendUnavailable, self.call)
        self.assertEqual(5.0, error.retry_after)
        self.at = 5.0
        self.fail()  # the trial
        self.assertRaises(errors.BackendUnavailable, self.call)
        self.at = 10.0
        self.assertEqual("fine", self.call())
        self.assertEqual("fine", self.call())

    def test_one_trial_at_a_time(self):
        for _ in range(3):
            self.fail()
        self.at = 5.0
        let_go = threading.Event()
        self.addCleanup(let_go.set)
        trial = self.breaker.start(lambda: let_go.wait(30))
        self.assertRaises(errors.BackendUnavailable, self.call)
        let_go.set()
        self.assertTrue(trial.result(time.monotonic() + 30))
        self.assertEqual("fine", self.call())

    def test_what_is_no_trouble_of_the_backend_does_not_count(self):
        for _ in range(10):
            self.fail(compute.NotFound)
        self.assertEqual("fine", self.call())

    def test_a_call_that_hangs_times_out_counts_and_keeps_its_slot(self):
        let_go = threading.Event()
        self.addCleanup(let_go.set)
        for _ in range(2):
            self.assertRaises(compute.Timeout, self.call, lambda: let_go.wait(30), 0.01)
        error = self.assertRaises(errors.BackendUnavailable, self.call)
        self.assertIn("busy", error.detail)
        let_go.set()

        def answer():
            with contextlib.suppress(errors.BackendUnavailable):
                return self.call()

        self.assertEqual("fine", deployment.wait_for("a slot is free again", answer, 30))

    def test_what_a_driver_may_not_raise_is_logged_and_not_shown(self):
        def work():
            raise KeyError("inner secret")

        with self.assertLogs("apisvc.service.breaker", logging.ERROR) as logs:
            error = self.assertRaises(compute.DriverBug, self.call, work)
        self.assertIn("inner secret", logs.output[0])
        self.assertNotIn("inner secret", live.translated("east", error).detail)


class LiveTest(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.live = self.services.live
        self.east = self.drivers["east"]

    def running(self, **fields):
        instance = self.create(name="web", **fields).result
        self.drivers[instance.spec.backend].ensure(backends.workload(instance.id), deadline=backends.soon())
        return instance

    def read(self, instance, **request):
        return self.live.logs(self.as_ann(), instance, compute.LogRequest(**request))

    def test_logs_of_what_runs(self):
        chunks = self.read(self.running())
        self.assertIsInstance(b"".join(chunks), bytes)

    def test_logs_can_be_closed_early(self):
        chunks = self.read(self.running(), follow=True)
        next(chunks)
        chunks.close()
        self.assertEqual([], list(chunks))

    def test_no_logs_of_what_is_not_there_or_without_the_capability(self):
        self.assertRaises(errors.NotFound, self.read, self.create(name="new").result)
        error = self.assertRaises(errors.Unsupported, self.read, self.create(backend="bare").result)
        self.assertIn("lacks 'logs'", error.detail)

    def test_every_error_of_the_closed_set_is_told_as_one_of_ours(self):
        for kind in compute.ERRORS:
            error = live.translated("east", kind("words for people"))
            self.assertIsInstance(
                error,
                {compute.NotFound: errors.NotFound, compute.InvalidSpec: errors.Unsupported}.get(
                    kind, errors.BackendUnavailable
                ),
            )
            self.assertEqual(kind is compute.DriverBug, "words for people" not in error.detail)

    def test_a_disabled_backend_is_not_touched(self):
        instance = self.running()
        body = schemas.BackendUpdate(state=model.BackendState.DISABLED)
        self.services.backends.update(self.context(), "east", body)
        self.assertRaises(errors.BackendUnavailable, self.read, instance)
        east, west, _ = self.live.nodes(self.context())
        self.assertIsInstance(east.error, errors.BackendUnavailable)
        self.assertIsNone(west.error)

    def test_nodes_of_all_and_of_one(self):
        found = {answer.backend: answer for answer in self.live.nodes(self.context())}
        self.assertTrue(found["east"].nodes[0].ready)
        self.assertIsInstance(found["bare"].error, errors.Unsupported)
        self.assertEqual(["west"], [answer.backend for answer in self.live.nodes(self.context(), "west")])
        self.assertRaises(errors.NotFound, self.live.nodes, self.context(), "nothing")

    def test_a_backend_that_hangs_costs_the_others_nothing(self):
        self.conf.set_override("timeout", 1.0, group="live")
        hanging = live.Live(self.services.transactor, self.conf, self.loaded)
        with self.east.script.frozen("nodes"):
            begun = time.monotonic()
            east, west, _ = hanging.nodes(self.context())
            self.assertLess(time.monotonic() - begun, 15)
        self.assertIsInstance(east.error, errors.BackendUnavailable)
        self.assertTrue(west.nodes)

    def test_a_backend_no_longer_configured(self):
        instance = self.running()
        smaller = live.Live(self.services.transactor, self.conf, {})
        self.assertRaises(errors.Unsupported, smaller.logs, self.as_ann(), instance, compute.LogRequest())


class BackendsTest(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.rules = self.services.backends

    def test_without_a_record_it_is_enabled_at_revision_0(self):
        view = self.rules.get(self.context(), "east").view()
        self.assertEqual((model.BackendState.ENABLED, 0, None), (view.state, view.revision, view.health))
        self.assertRaises(errors.NotFound, self.rules.get, self.context(), "nothing")

    def test_the_operators_word_is_kept_with_its_reason(self):
        body = schemas.BackendUpdate(state=model.BackendState.DRAINING, reason="new disks")
        done = self.rules.update(self.context(if_match=0), "east", body)
        self.assertEqual(
            (model.BackendState.DRAINING, done.revision), (done.result.state, done.result.view().revision)
        )
        again = self.rules.update(self.context(), "east", schemas.BackendUpdate(reason="newer disks"))
        view = again.result.view()
        self.assertEqual((model.BackendState.DRAINING, "newer disks"), (view.state, view.reason))
        self.assertRaises(
            errors.PreconditionFailed, self.rules.update, self.context(if_match=done.revision), "east", body
        )
        self.assertEqual("backend.update", self.actions()[-1])
        self.assertEqual(
            [view.state, model.BackendState.ENABLED],
            [known.state for known in self.rules.list(self.context())[:2]],
        )

    def test_health_is_what_a_worker_wrote(self):
        health = model.BackendHealth(name="east", healthy=False, detail="down", since=1.0, checked_at=2.0)
        self.services.transactor.transact(
            context.system(), lambda txn: txn.put("backend-health/east", health)
        )
        known = self.rules.get(self.context(), "east")
        self.assertEqual("down", known.view().health.detail)
        self.assertFalse(known.tenant_view().healthy)

    def test_drivers_and_what_they_serve(self):
        bare, fakes = self.rules.drivers().drivers
        self.assertEqual(("bare", (), ["bare"]), (bare.name, bare.capabilities, bare.backends))
        self.assertEqual(["east", "west"], fakes.backends)
        self.assertEqual(compute.capabilities(fake.FakeDriver), fakes.capabilities)

    def test_where_an_image_can_be_used(self):
        usable = self.rules.usable(self.context(), self.acme.id)
        self.assertEqual(["east", "west", "bare"], usable(self.host))
        self.assertEqual(["west"], usable(self.image("odd", west="x")))

    def test_workers_vanish_with_their_lease(self):
        lease = self.store.lease(10)
        worker = model.Worker(id="w1", host="h", pid=1, started_at=1.0, backends=("east",))
        self.services.transactor.transact(
            context.system(), lambda txn: txn.put("workers/w1", worker, lease=lease.id)
        )
        [found] = self.services.workers.list(self.context())
        self.assertEqual(worker, found.value)
        lease.revoke()
        self.assertEqual([], self.services.workers.list(self.context()))
