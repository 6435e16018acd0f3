"""Several workers: they share, they take over, and one that lost its lease harms nobody."""

import collections

import hypothesis
import testtools
from hypothesis import strategies

from apisvc.model import backends, codec, keys
from apisvc.storage import base as storage
from apisvc.testing import faults
from apisvc.worker import membership, steps
from tests.unit.worker import world


class Rendezvous(testtools.TestCase):
    @hypothesis.given(strategies.sets(strategies.text(), min_size=2), strategies.lists(strategies.text()))
    def test_only_what_the_leaver_had_moves(self, workers: set[str], things: list[str]) -> None:
        leaver = sorted(workers)[0]
        for thing in things:
            before = membership.owner(workers, thing)
            after = membership.owner(workers - {leaver}, thing)
            self.assertTrue(before in (after, leaver))

    def test_it_is_fair(self) -> None:
        names = [f"worker-{n}" for n in range(4)]
        shares = collections.Counter(membership.owner(names, f"i-{n}") for n in range(4000))
        for name in names:
            self.assertTrue(800 < shares[name] < 1200, shares)

    def test_nobody(self) -> None:
        self.assertIsNone(membership.owner([], "x"))


class Together(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World()
        self.addCleanup(self.world.stop)

    def two(self, first=None, second=None):
        both = self.world.start(first), self.world.start(second)
        for one in both:
            self.assertTrue(one.wait_ready(world.DEADLINE))
            world.until(lambda one=one: len(one.members._live) == 2, "both known")
        return both

    def test_they_share(self) -> None:
        hooks = faults.Injector(), faults.Injector()
        self.two(*hooks)
        made = [self.world.create() for _ in range(40)]
        for one in made:
            self.world.wait(one, "active", settled=False)
        counts = [hook.count("store.claim", "after") for hook in hooks]
        self.assertEqual(40, sum(counts), "each is claimed once")
        self.assertTrue(all(count > 5 for count in counts), counts)

    def test_a_graceful_stop_hands_over_at_once(self) -> None:
        first, _ = self.two()
        first.stop()
        world.until(lambda: len(self.world.store.scan(keys.WORKERS).records) == 1, "the record gone")
        for _ in range(10):
            self.world.wait(self.world.create(), "active")

    def test_a_claim_of_another_is_respected_until_it_ends(self) -> None:
        self.world.start()
        lease = self.world.store.lease(60)
        made = self.world.transactor.ids.new()
        claim = backends.Claim(worker_id="somebody", at=0.0)
        put = storage.Put(keys.join(keys.CLAIMS, made), codec.encode(claim), lease.id)
        self.world.store.commit([], [put])
        ids = self.world.transactor.ids
        self.world.transactor.ids = _Fixed(made)
        self.world.create()
        self.world.transactor.ids = ids
        self.world.wait(self.world.create(), "active", settled=False)
        self.assertEqual("pending", self.world.status(made).state)
        lease.revoke()
        self.world.wait(made, "active")

    def test_a_lost_lease_begins_a_new_term(self) -> None:
        self.world.conf.set_override("lease_ttl", 2, "worker")
        one = self.world.start()
        one.wait_ready(world.DEADLINE)
        term = one.members.term
        term.lease.revoke()
        made = self.world.create()
        self.world.wait(made, "active")
        self.assertNotEqual(term.worker_id, one.members.term.worker_id)
        self.assertEqual(1, len(self.world.objects()))


class _Fixed:
    def __init__(self, value: str) -> None:
        self._value = value

    def new(self) -> str:
        return self._value


#: What happens on the way through a whole life.
LIFE = (
    "store.claim",
    "store.settle",
    "store.remove",
    "driver.observe",
    "driver.ensure_tenant",
    "driver.ensure",
    "driver.start",
    "driver.stop",
    "driver.reboot",
    "driver.delete",
)


class Killed(testtools.TestCase):
    """A worker dies before or after each step of a life; another ends it, exactly once."""

    def life(self, hook: steps.Hook) -> None:
        """Create, stop, start, reboot, delete, with one worker that dies on the way and one that comes after."""
        here = world.World()
        self.addCleanup(here.stop)
        first = here.start(hook)
        first.wait_ready(world.DEADLINE)
        heir = None

        def reach(instance_id: str, state: str | None) -> None:
            nonlocal heir

            def there() -> bool:
                found = here.get(instance_id)
                if state is None or found is None:
                    return found is None
                status = found.status
                return status.state == state and status.observed_generation == found.generation

            world.until(lambda: there() or hook.dead.is_set(), f"{state}, or dead")
            if hook.dead.is_set() and heir is None:
                # What the end of its lease does, without waiting for it.
                first.members._term.lease.revoke()
                heir = here.start()
            world.until(there, f"{state} by the heir")

        made = here.create()
        other = here.create(restart_policy="never", labels={"fake.exit": "0"})
        reach(made, "active")
        reach(other, "stopped")
        for changes, state in (
            ({"power": "stopped"}, "stopped"),
            ({"power": "running"}, "active"),
            ({"reboots": 1}, "active"),
        ):
            here.update(made, **changes)
            reach(made, state)
            self.assertEqual({made, other}, {seen.tag.instance_id for seen in here.objects()})
        self.assertEqual([0, 1], sorted(seen.reboots for seen in here.objects()))
        self.assertEqual(2, here.used().instances)
        here.delete(made)
        reach(made, None)
        self.assertEqual([other], [seen.tag.instance_id for seen in here.objects()])
        self.assertEqual(1, here.used().instances)
        world.until(lambda: not here.claims(), "no claim left")
        self.assertTrue(hook.dead.is_set(), "it died somewhere")
        here.stop()

    def test_at_every_step(self) -> None:
        for name in LIFE:
            for when in ("before", "after"):
                self.life(faults.Injector([faults.Fault("die", when, name)]))

    def test_later_on(self) -> None:
        for name, nth in (("store.claim", 3), ("store.claim", 5), ("store.settle", 3), ("store.settle", 5)):
            for when in ("before", "after"):
                self.life(faults.Injector([faults.Fault("die", when, name, nth)]))


class Injection(testtools.TestCase):
    def test_the_environment_says_what(self) -> None:
        text = "kill:before:driver.ensure:3, delay:after:store.claim:1:0.5"
        injector = faults.from_environment({faults.VARIABLE: text})
        self.assertEqual(
            (
                faults.Fault("kill", "before", "driver.ensure", 3),
                faults.Fault("delay", "after", "store.claim", 1, 0.5),
            ),
            injector._faults,
        )
        self.assertIsNone(faults.from_environment({}))

    def test_what_is_wrong_is_said(self) -> None:
        for text in ("kill", "explode:before:x", "kill:during:x", "kill:before:x:first"):
            self.assertRaises(ValueError, faults.Fault.parse, text)

    def test_an_unexpected_error_delays_a_pass(self) -> None:
        here = world.World()
        self.addCleanup(here.stop)
        hook = faults.Injector([faults.Fault("raise", "before", "driver.ensure")])
        with self.assertLogs("apisvc.worker", "ERROR"):
            here.start(hook)
            made = here.create()
            world.until(lambda: here.status(made).fault, "a fault")
        self.assertEqual("driver_bug", here.status(made).fault.code)
