"""The choice itself, over backends as the store could know them."""

import msgspec
import testtools

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.compute import fake
from apisvc.model import backends, catalogue
from apisvc.service import placement
from apisvc.testing import backends as testing
from tests.unit.service import instances_case

IMAGE = catalogue.Image(
    id="i", name="host", references={"fake": "busybox", "bare": "plain"}, created_at=0, updated_at=0
)
WISH = placement.Wish(image=IMAGE, vcpus=2, ram_mb=512, disk_gb=10)


def candidate(name, driver=fake.FakeDriver, kind="fake", health=None, **operator):
    loaded = compute.LoadedBackend(name, kind, driver(testing.context(driver, state_dir="", name=name)))
    record = backends.Backend(name=name, updated_at=0, **operator) if operator else None
    return placement.Candidate(loaded, record, health)


def bare(name, **kw):
    return candidate(name, driver=instances_case.BareDriver, kind="bare", **kw)


def health(name="b", healthy=True, instances=0, free=None, total=None, rooms=None):
    """``free``, ``total``, ``rooms``: (vcpus, ram_mb, disk_gb)."""

    def room(amounts):
        return backends.Room(vcpus=amounts[0], ram_mb=amounts[1], disk_gb=amounts[2])

    found = None
    if free is not None:
        rooms = tuple(room(one) for one in rooms or [free])
        found = backends.Capacity(
            at=0, nodes=len(rooms), total=room(total or free), free=room(free), rooms=rooms
        )
    return backends.BackendHealth(
        name=name, healthy=healthy, since=0, checked_at=0, capacity=found, instances=instances
    )


def choose(*candidates, own=None, tenant="t", **wish):
    by_name = {one.loaded.name: one for one in candidates}
    return placement.choose(by_name, msgspec.structs.replace(WISH, **wish), tenant, own or {})


class FilterTest(testtools.TestCase):
    def refused(self, one, **wish):
        """Why a backend is passed over, although it is the only one asked."""
        by_choice = self.assertRaises(errors.NoBackend, choose, one, **wish)
        by_name = self.assertRaises(errors.NoBackend, choose, one, backend=one.loaded.name, **wish)
        self.assertEqual(by_choice.extensions, by_name.extensions)
        [rejected] = by_choice.extensions["rejected"]
        self.assertEqual(one.loaded.name, rejected["backend"])
        self.assertIn(rejected["reason"], by_choice.detail)
        return rejected["reason"]

    def test_what_nothing_speaks_against(self):
        for one in (candidate("a"), candidate("a", health=health()), candidate("a", weight=0)):
            self.assertEqual("a", choose(one).backend.name)
        self.assertEqual("busybox", choose(candidate("a")).reference)

    def test_the_operators_state(self):
        for state in (backends.BackendState.DRAINING, backends.BackendState.DISABLED):
            self.assertEqual(f"it is {state.value}", self.refused(candidate("a", state=state)))

    def test_health(self):
        self.assertEqual("it cannot be reached", self.refused(candidate("a", health=health(healthy=False))))

    def test_kind_and_capabilities(self):
        self.assertEqual("its driver is 'bare'", self.refused(bare("a"), driver="fake"))
        self.assertEqual("a", choose(bare("b"), candidate("a"), driver="fake").backend.name)
        self.assertEqual(
            "its driver 'bare' lacks logs, power", self.refused(bare("a"), requires=("power", "logs"))
        )
        self.assertEqual("a", choose(bare("b"), candidate("a"), requires=("logs",)).backend.name)
        error = self.assertRaises(errors.InvalidRequest, choose, bare("a"), requires=("logs", "wings"))
        self.assertEqual("/requires/1", error.errors[0].pointer)
        self.assertIn("cordon", error.errors[0].detail)

    def test_the_image(self):
        odd = msgspec.structs.replace(IMAGE, references={"fake": "x"})
        self.assertEqual("image 'host' has no reference for 'bare'", self.refused(bare("a"), image=odd))

    def test_fields_that_the_driver_takes(self):
        self.assertEqual(
            "its driver 'bare' takes no volumes", self.refused(bare("a"), fields=["env", "volumes"])
        )

    def test_room(self):
        full = candidate("a", health=health(free=(8, 600, 20), rooms=[(1, 600, 20), (8, 100, 20)]))
        self.assertEqual(
            "no node of it has 2 vcpus, 512 MiB of memory and 10 GiB of disk free", self.refused(full)
        )
        cordoned = msgspec.structs.replace(health(free=(9, 9, 9)).capacity, nodes=0, rooms=())
        none = msgspec.structs.replace(health(), capacity=cordoned)
        self.assertIn("no node", self.refused(candidate("a", health=none)))
        unknown = candidate("a", health=health(free=(None, 600, None)))
        self.assertEqual("a", choose(unknown).backend.name)

    def test_others_backends_are_not_there(self):
        theirs, ours = candidate("theirs", tenants=("u",)), candidate("ours", tenants=("t", "u"))
        decision = choose(theirs, ours)
        self.assertEqual(("ours", []), (decision.backend.name, list(decision.rejected)))
        self.assertEqual("theirs", choose(theirs, ours, tenant="u").backend.name)
        hidden = self.assertRaises(errors.InvalidRequest, choose, theirs, ours, backend="theirs")
        missing = self.assertRaises(errors.InvalidRequest, choose, ours, backend="theirs")
        self.assertEqual((hidden.detail, hidden.errors), (missing.detail, missing.errors))
        error = self.assertRaises(errors.NoBackend, choose, theirs)
        self.assertEqual([], error.extensions["rejected"])
        self.assertNotIn("theirs", error.detail)

    def test_each_is_told_with_its_own_reason(self):
        drained = candidate("a", state=backends.BackendState.DRAINING)
        down = candidate("b", health=health(healthy=False))
        decision = choose(drained, down, bare("c"), candidate("d"), requires=("logs",))
        self.assertEqual("d", decision.backend.name)
        self.assertEqual(
            [("a", "it is draining"), ("b", "it cannot be reached"), ("c", "its driver 'bare' lacks logs")],
            [(one["backend"], one["reason"]) for one in decision.rejected],
        )
        self.assertEqual(["d"], [one.backend for one in decision.ranked])


class WeightTest(testtools.TestCase):
    def order(self, *candidates, **kw):
        return [one.backend for one in choose(*candidates, **kw).ranked]

    def test_of_equals_the_first_configured(self):
        self.assertEqual(["b", "a"], self.order(candidate("b"), candidate("a")))

    def test_each_of_the_four(self):
        plain = candidate("plain")
        self.assertEqual(["heavy", "plain"], self.order(plain, candidate("heavy", weight=101)))
        self.assertEqual(["plain", "busy"], self.order(candidate("busy", health=health(instances=1)), plain))
        self.assertEqual(["b", "a"], self.order(candidate("a"), candidate("b"), own={"a": 1}))
        roomy = candidate("roomy", health=health(free=(80, 80_000, 800), total=(100, 100_000, 1000)))
        tight = candidate("tight", health=health(free=(80, 80_000, 200), total=(100, 100_000, 1000)))
        self.assertEqual(["roomy", "plain", "tight"], self.order(tight, plain, roomy))

    def test_the_formula(self):
        there = health(instances=3, free=(50, 8000, 810), total=(100, 10_000, 1000))
        [ranked] = choose(candidate("a", weight=50, health=there), own={"a": 1}).ranked
        self.assertEqual((50, 0.48, 3, 1), (ranked.weight, ranked.free, ranked.instances, ranked.own))
        self.assertAlmostEqual(50 * 0.48 / 5, ranked.score)

    def test_a_weight_of_nothing_takes_what_no_other_does(self):
        spare = candidate("spare", weight=0)
        self.assertEqual(["a", "spare"], self.order(spare, candidate("a", health=health(instances=10**6))))
        down = candidate("down", health=health(healthy=False))
        self.assertEqual(["spare"], self.order(spare, down))

    def test_a_burst_is_spread_by_weight_between_two_looks(self):
        two = (candidate("a", weight=200), candidate("b", weight=100))
        own = {}
        for _ in range(90):
            name = choose(*two, own=own).backend.name
            own[name] = own.get(name, 0) + 1
        self.assertEqual({"a": 60, "b": 30}, own)

    def test_it_is_the_same_every_time(self):
        three = [candidate(name, health=health(instances=n)) for n, name in enumerate("cab")]
        self.assertEqual({("c", "a", "b")}, {tuple(self.order(*three)) for _ in range(20)})
