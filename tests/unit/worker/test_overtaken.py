"""What happens between a worker's look and its commit: nothing asked meanwhile is lost, and no right outlives its lease."""

import threading
from collections.abc import Callable

import testtools

from apisvc.model import backends, codec, keys
from apisvc.storage import base as storage
from tests.unit.worker import world


class Meddler:
    """A hook that does something in the very moment before or after a step, once."""

    def __init__(self) -> None:
        self.plans: dict[str, Callable[[], None]] = {}

    def _met(self, when: str) -> None:
        if (plan := self.plans.pop(when, None)) is not None:
            plan()

    def before(self, name: str) -> None:
        self._met(f"before {name}")

    def after(self, name: str) -> None:
        self._met(f"after {name}")


class Overtaken(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World(lease_ttl=2)
        self.addCleanup(self.world.stop)
        self.hook = Meddler()
        self.one = self.world.start(self.hook)
        self.assertTrue(self.one.wait_ready(world.DEADLINE))

    def test_what_is_asked_before_a_commit_is_kept(self) -> None:
        for step in ("store.claim", "store.settle"):
            made = self.world.create(power="stopped")
            self.world.wait(made, "stopped")

            def ask(made: str = made) -> None:
                self.world.update(made, args=("asked-meanwhile",))

            self.hook.plans[f"before {step}"] = ask
            self.world.update(made, power="running")
            found = self.world.wait(made, "active")
            self.assertEqual(("asked-meanwhile",), found.spec.args, step)
            self.assertEqual({}, self.hook.plans)

    def test_deleted_while_it_is_made(self) -> None:
        def delete() -> None:
            (seen,) = self.world.objects()
            self.world.delete(seen.tag.instance_id)

        self.hook.plans["after driver.ensure"] = delete
        self.world.wait_gone(self.world.create(labels={"fake.delay": "0.1"}))
        states = [event.detail["state"] for event in self.world.events("instance.state")]
        self.assertEqual(["building", "deleting"], states)
        self.assertEqual([], self.world.objects())
        self.assertEqual(0, self.world.used().vcpus)

    def test_a_claim_that_is_gone_lets_nothing_be_written(self) -> None:
        made = self.world.create(power="stopped")
        self.world.wait(made, "stopped")
        again: list[str] = []

        def take_away() -> None:
            self.world.store.commit([], [storage.Delete(keys.join(keys.CLAIMS, made))])
            self.hook.plans["before store.settle"] = lambda: again.append(made)

        self.hook.plans["before store.settle"] = take_away
        self.world.update(made, power="running")
        self.world.wait(made, "active")
        self.assertEqual([made], again, "the first commit was refused")
        self.assertEqual(1, len(self.world.objects()))

    def test_the_end_of_an_instance_is_recorded_by_who_holds_its_claim(self) -> None:
        made = self.world.create()
        self.world.wait(made, "active")
        claim = keys.join(keys.CLAIMS, made)
        taken = threading.Event()

        def take_over() -> None:
            other = codec.encode(backends.Claim(worker_id="another", at=0.0))
            self.world.store.commit([], [storage.Put(claim, other)])
            taken.set()

        self.hook.plans["before store.remove"] = take_over
        self.world.delete(made)
        self.assertTrue(taken.wait(world.DEADLINE))
        world.until(lambda: not self.one._sites["east"].queue, "the pass is over")
        self.assertIsNotNone(self.world.get(made))
        self.assertEqual(1, self.world.used().instances)
        self.world.store.commit([], [storage.Delete(claim)])
        self.world.wait_gone(made)

    def test_a_term_that_is_over_calls_no_driver(self) -> None:
        term = self.one.members.term
        calls = self.world.driver().script.calls
        called_in: list[object] = []
        self.hook.plans["after store.claim"] = lambda: setattr(term, "good_until", 0.0)
        self.hook.plans["before driver.ensure"] = lambda: called_in.append(self.one.members.term)
        made = self.world.create()
        world.until(lambda: term.lost, "the term is given up")
        # The lease itself still lived; it is not kept alive for claims that nobody uses.
        self.world.wait(made, "active")
        self.assertEqual(1, calls["ensure"])
        self.assertEqual(1, len(called_in))
        self.assertIsNot(term, called_in[0])
        self.assertIsNot(term, self.one.members.term)
