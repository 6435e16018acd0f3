"""Everything at once: several workers that die or lose their leases, backends that fail, users who change their minds.

In one process, by seed; what is asked for last must be what is there at the end.
"""

import random

import testtools

from apisvc.compute import base as compute
from apisvc.testing import faults
from apisvc.worker import worker
from tests.unit.worker import world

BACKENDS = ("east", "west")
DEADLY = (
    "store.claim",
    "store.settle",
    "store.remove",
    "store.fault",
    "driver.ensure",
    "driver.delete",
    "driver.observe",
)
PASSING = [kind for kind in compute.ERRORS if kind.retryable and kind is not compute.DriverBug]
PHASES = {"active": compute.Phase.RUNNING, "stopped": compute.Phase.STOPPED}


class Chaos:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.world = world.World(BACKENDS, lease_ttl=2, resync_interval=0.5)
        self.living: list[tuple[worker.Worker, faults.Injector]] = []
        #: What was asked for last; None: to be gone.
        self.wishes: dict[str, str | None] = {}

    def spawn(self, *, mortal: bool) -> None:
        when, step = self.dice.choice(("before", "after")), self.dice.choice(DEADLY)
        fault = faults.Fault("die", when, step, self.dice.randint(1, 15))
        hook = faults.Injector([fault] if mortal else [])
        self.living.append((self.world.start(hook, before=self.spoil), hook))

    def spoil(self, drivers: dict) -> None:
        for driver in drivers.values():
            for _ in range(6):
                on = self.dice.choice(("ensure", "delete", "observe", "stop", "start"))
                driver.script.fail(self.dice.choice(PASSING), on=on, times=self.dice.randint(1, 3))
                on = self.dice.choice(("ensure", "delete", "stop", "start", "reboot"))
                driver.script.lose_response(on=on, times=self.dice.randint(1, 2))

    def bury(self) -> int:
        dead = [each for each in self.living if each[1].dead.is_set()]
        self.living = [each for each in self.living if each not in dead]
        return len(dead)

    def wish(self) -> None:
        """One thing that a user does."""
        open_wishes = [one for one, wish in self.wishes.items() if wish is not None]
        if not open_wishes or self.dice.random() < 0.45:
            labels = {"fake.delay": self.dice.choice(("0", "0", "0.02"))}
            made = self.world.create(backend=self.dice.choice(BACKENDS), labels=labels)
            self.wishes[made] = "active"
            return
        one = self.dice.choice(open_wishes)
        what = self.dice.choice(("stop", "stop", "start", "spec", "delete"))
        if what == "delete":
            self.world.delete(one)
            self.wishes[one] = None
        elif what == "spec":
            self.world.update(one, image_ref=f"image-{self.dice.random()}")
        else:
            self.world.update(one, power="stopped" if what == "stop" else "running")
            self.wishes[one] = "stopped" if what == "stop" else "active"

    def rob(self) -> None:
        """Somebody loses the lease."""
        term = self.dice.choice(self.living)[0].members.term if self.living else None
        if term is not None:
            term.lease.revoke()

    def unfulfilled(self) -> list[object]:
        found: list[object] = []
        for one, wish in self.wishes.items():
            instance = self.world.get(one)
            if wish is None or instance is None:
                found += [] if instance is None and wish is None else [(one, wish, instance)]
            elif instance.status.state != wish or instance.status.observed_generation != instance.generation:
                found.append((wish, instance))
        return found


class WorkersInChaos(testtools.TestCase):
    def test_what_was_asked_for_last_is_what_is_there(self) -> None:
        for seed in (1, 2, random.randrange(1_000_000)):
            self.run_seed(seed)

    def run_seed(self, seed: int) -> None:
        chaos = Chaos(seed)
        self.addCleanup(chaos.world.stop)
        for _ in range(3):
            chaos.spawn(mortal=True)
        for _ in range(150):
            chaos.wish()
            if chaos.dice.random() < 0.03:
                chaos.rob()
            for _ in range(chaos.bury()):
                chaos.spawn(mortal=chaos.dice.random() < 0.8)
        chaos.bury()
        chaos.spawn(mortal=False)
        try:
            world.until(lambda: not chaos.unfulfilled(), "fulfilled", timeout=180)
        except AssertionError:
            self.fail(f"seed {seed}: {chaos.unfulfilled()[:3]}")
        wanted = {one: PHASES[wish] for one, wish in chaos.wishes.items() if wish is not None}
        seen = [observed for name in BACKENDS for observed in chaos.world.objects(name)]
        self.assertEqual(wanted, {each.tag.instance_id: each.phase for each in seen}, f"seed {seed}")
        self.assertEqual(len(wanted), len(seen), f"seed {seed}: twins")
        self.assertEqual(len(wanted), chaos.world.used().instances, f"seed {seed}: the ledger")
        world.until(lambda: not chaos.world.claims(), "all claims released")
