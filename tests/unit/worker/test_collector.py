"""What is outdated goes, what is not stays, and one worker does it."""

import time

import testtools

from apisvc.model import codec, events, instances, keys, replays, users
from apisvc.storage import base as storage
from apisvc.worker import collector, membership, steps
from tests.unit.worker import world

NOW = 2_000_000_000.0


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at


class Members:
    """A worker with a lease and nothing else."""

    def __init__(self, here: world.World, name: str) -> None:
        self.term = membership.Term(name, here.store.lease(60), time.monotonic() + 60)


class Collecting(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = world.World(
            store=self.make_store(),
            events_keep=1000,
            replays_keep=100,
            tombstones_keep=1000,
            history_keep=300,
            retry_min=1.0,
        )
        self.clock = Clock()
        self.world.transactor.clock = self.clock
        self.one = self.collector("one")

    def make_store(self) -> storage.Store | None:
        """None: one in memory."""
        return None

    def collector(self, name: str) -> collector.Collector:
        return collector.Collector(
            self.world.conf, self.world.transactor, Members(self.world, name), steps.Steps()
        )

    def put(self, key: str, record: object) -> str:
        self.world.store.commit([], [storage.Put(key, codec.encode(record))])
        return key

    def event(self, tenant: str, number: int, at: float) -> str:
        actor, target = events.Actor(kind="user", id="u"), events.Target(kind="x", id="x")
        event = events.Event(id=f"{number:08}", at=at, action="x.y", actor=actor, target=target)
        return self.put(keys.join(keys.EVENTS, tenant, event.id), event)

    def left(self, prefix: str) -> list[str]:
        return [record.key for record in self.world.store.scan(prefix).records]

    def test_old_events_go_in_every_tenant(self) -> None:
        kept = []
        for tenant in ("-", "blue", "green"):
            for number in range(250):
                self.event(tenant, number, NOW - 2000 + number)
            kept += [self.event(tenant, 900 + number, NOW - number) for number in range(2)]
        self.one.round()
        self.assertEqual(sorted(kept), self.left(keys.EVENTS))

    def test_tenants_are_looked_at_in_each_round_and_what_was_one_seldom(self) -> None:
        self.put(keys.join(keys.TENANTS, "blue"), "a tenant")
        self.one.round()
        _, gone = (self.event(tenant, 1, NOW - 2000) for tenant in ("blue", "green"))
        self.one.round()
        self.assertEqual([gone], self.left(keys.EVENTS))
        for _ in range(collector.SELDOM - 2):
            self.one.round()
        self.assertEqual([gone], self.left(keys.EVENTS))
        self.one.round()
        self.assertEqual([], self.left(keys.EVENTS))

    def test_replays_and_tombstones(self) -> None:
        for number, age in enumerate((99, 101)):
            replay = replays.Replay(fingerprint="f", status=202, answer=b"", created_at=NOW - age)
            self.put(keys.join(keys.REPLAYS, str(number)), replay)
        for number, age in enumerate((999, 1001)):
            stone = instances.Tombstone(instance_id="i", tenant_id="t", backend="b", at=NOW - age)
            self.put(keys.join(keys.TOMBSTONES, str(number)), stone)
        self.one.round()
        self.assertEqual([keys.join(keys.REPLAYS, "0")], self.left(keys.REPLAYS))
        self.assertEqual([keys.join(keys.TOMBSTONES, "0")], self.left(keys.TOMBSTONES))

    def test_expired_tokens_go_with_their_indexes_and_an_event(self) -> None:
        for name, expires_at in (("old", NOW - 1), ("good", NOW + 1), ("eternal", None)):
            token = users.Token(
                id=name, user_id="u", hint="h", tenant_id="t", created_at=0.0, expires_at=expires_at
            )
            self.put(keys.join(keys.TOKENS, f"digest-{name}"), token)
            self.put(keys.join(keys.TOKEN_IDS, "u", name), f"digest-{name}")
            self.put(keys.join(keys.TOKEN_TENANTS, "t", name), f"digest-{name}")
        self.one.round()
        self.assertEqual(
            [f"{keys.TOKENS}digest-eternal", f"{keys.TOKENS}digest-good"], self.left(keys.TOKENS)
        )
        self.assertEqual(2, len(self.left(keys.TOKEN_IDS)))
        self.assertEqual(2, len(self.left(keys.TOKEN_TENANTS)))
        self.assertEqual(["old"], [event.target.id for event in self.world.events("token.delete")])

    def test_history_is_forgotten_after_its_time(self) -> None:
        self.one.round()
        first = self.world.store.revision()
        self.put("x", 1)
        self.clock.at += 200
        self.one.round()
        self.world.store.scan("", revision=first)
        self.put("x", 2)
        self.clock.at += 200
        self.one.round()
        self.world.store.scan("", revision=first)
        self.clock.at += 200
        self.one.round()
        self.assertRaises(storage.Compacted, self.world.store.scan, "", revision=first)

    def test_a_clock_set_back_stops_no_compaction(self) -> None:
        first = self.world.store.revision()
        self.put("x", 1)
        self.one.round()
        self.clock.at -= 100_000
        for _ in range(4):
            self.one.round()
            self.clock.at += 200
        self.assertRaises(storage.Compacted, self.world.store.scan, "", revision=first)

    def test_one_of_several_does_it(self) -> None:
        two = self.collector("two")
        self.one.round()
        old = self.event("blue", 1, NOW - 5000)
        two.round()
        self.assertEqual([old], self.left(keys.EVENTS))
        self.one._members.term.lease.revoke()
        two.round()
        self.assertEqual([], self.left(keys.EVENTS))

    def test_a_round_is_bounded(self) -> None:
        for number in range(collector.ROUND + 50):
            self.event("blue", number, NOW - 5000)
        self.one.round()
        self.assertEqual(50, len(self.left(keys.EVENTS)))
