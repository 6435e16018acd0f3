"""Leases: keys that live as long as their holder."""

import time

from apisvc.storage import base
from apisvc.testing.storage import harness

#: The contract gives a store one second to notice; a busy machine may need longer to run the test.
GRACE = 1.0 + harness.PATIENCE / 2
#: How often what must be done within the time of a lease is begun anew, because the machine stood still.
ATTEMPTS = 10


class Leasing(harness.Harness):
    def short_lease(self, key: str, value: bytes = b"") -> tuple[base.Lease, float]:
        """A lease of the shortest time there is, with ``key`` under it, and an instant before it began."""
        for _ in range(ATTEMPTS):
            begun = time.monotonic()
            lease = self.store.lease(1)
            try:
                self.put(key, value, lease.id)
            except base.LeaseLost:
                self.assertGreaterEqual(
                    time.monotonic() - begun, lease.ttl - 0.01, "it ended before its time"
                )
            else:
                return lease, begun
        raise AssertionError(f"the machine stood still in each of {ATTEMPTS} attempts")

    def test_a_record_names_its_lease(self) -> None:
        lease = self.store.lease(60)
        self.put("a", b"", lease.id)
        self.assertEqual(lease.id, getattr(self.one("a"), "lease", None))
        self.assertEqual([lease.id], [record.lease for record in self.store.scan("").records])
        self.assertGreaterEqual(lease.ttl, 60)

    def test_leases_have_names_of_their_own(self) -> None:
        self.assertEqual(5, len({self.store.lease(60).id for _ in range(5)}))

    def test_keys_vanish_with_a_revoked_lease_in_one_commit(self) -> None:
        lease, other = self.store.lease(60), self.store.lease(60)
        self.store.commit(
            [],
            [base.Put("a", b"", lease.id), base.Put("b", b"", lease.id), base.Put("c", b"", other.id)],
        )
        after = self.put("d")
        watch = self.open_watch("", after)
        lease.revoke()
        self.assertEqual(["c", "d"], self.keys())
        revision = self.store.revision()
        expected = [base.Change("a", None, revision), base.Change("b", None, revision)]
        self.assertEqual(expected, sorted(self.changes(watch, 2), key=lambda change: change.key))

    def test_revoke_may_be_repeated(self) -> None:
        lease = self.store.lease(60)
        lease.revoke()
        lease.revoke()

    def test_a_put_under_an_ended_lease_writes_nothing(self) -> None:
        lease = self.store.lease(60)
        lease.revoke()
        before = self.store.revision()
        with self.assertRaises(base.LeaseLost):
            self.store.commit([], [base.Put("a", b""), base.Put("b", b"", lease.id)])
        self.assertEqual([], self.keys())
        self.assertEqual(before, self.store.revision())

    def test_an_ended_lease_cannot_be_kept_alive(self) -> None:
        lease = self.store.lease(60)
        lease.keep_alive()
        lease.revoke()
        with self.assertRaises(base.LeaseLost):
            lease.keep_alive()

    def test_a_later_put_frees_or_moves_the_key(self) -> None:
        first, second = self.store.lease(60), self.store.lease(60)
        for key in ["freed", "moved", "kept"]:
            self.put(key, b"1", first.id)
        self.put("freed", b"2")
        self.put("moved", b"2", second.id)
        first.revoke()
        self.assertEqual(["freed", "moved"], self.keys())
        second.revoke()
        self.assertEqual(["freed"], self.keys())

    def test_a_deleted_key_comes_back_without_its_lease(self) -> None:
        lease = self.store.lease(60)
        self.put("a", b"1", lease.id)
        self.delete("a")
        self.put("a", b"2")
        lease.revoke()
        self.assertEqual(["a"], self.keys())

    def test_keys_vanish_after_the_lease_has_expired(self) -> None:
        """Watched: nobody else touches the store meanwhile."""
        before = self.put("a")
        lease, begun = self.short_lease("a")
        watch = self.open_watch("", before)
        seen: list[base.Change] = []
        last = before
        while not seen or seen[-1].value is not None:
            batch = watch.poll(lease.ttl + GRACE)
            assert batch is not None, "the lease did not expire"
            seen, last = [*seen, *batch.changes], batch.revision
        self.assertEqual([b"", None], [change.value for change in seen])
        self.assertEqual(base.Change("a", None, last), seen[-1])
        self.assertGreaterEqual(time.monotonic() - begun, lease.ttl - 0.01)
        with self.assertRaises(base.LeaseLost):
            lease.keep_alive()
        with self.assertRaises(base.LeaseLost):
            self.put("b", b"", lease.id)

    def test_keys_vanish_without_a_watch(self) -> None:
        lease, _ = self.short_lease("a")
        self.eventually(lambda: self.one("a") is None, "the key is gone", lease.ttl + GRACE)
        self.assertEqual([], self.keys())

    def test_a_lease_kept_alive_holds(self) -> None:
        self.assertTrue(
            any(self._held() for _ in range(ATTEMPTS)), f"the machine stood still {ATTEMPTS} times"
        )

    def _held(self) -> bool:
        """Whether a lease kept alive held for twice its time; False: nothing can be said, for nobody kept it."""
        lease, kept = self.short_lease("a")
        end = time.monotonic() + 2 * lease.ttl
        while time.monotonic() < end:
            asked = time.monotonic()
            try:
                lease.keep_alive()
                kept = asked
                held = self.keys() == ["a"]
            except base.LeaseLost:
                held = False
            if not held:
                self.assertGreaterEqual(
                    time.monotonic() - kept, lease.ttl - 0.01, "it was kept alive in time"
                )
                return False
            time.sleep(0.1)
        return True

    def test_an_expired_lease_makes_room(self) -> None:
        """How a claim passes on: the next holder's Absent guard holds once the lease is over."""
        new = self.store.lease(60)
        old, begun = self.short_lease("claim", b"old")

        def taken() -> bool:
            try:
                self.store.commit([base.Absent("claim")], [base.Put("claim", b"new", new.id)])
            except base.Conflict:
                return False
            return True

        self.eventually(taken, "the claim can be taken", old.ttl + GRACE)
        self.assertGreaterEqual(time.monotonic() - begun, old.ttl - 0.01, "and no earlier")
        self.assertEqual(b"new", getattr(self.one("claim"), "value", None))

    def test_many_keys_vanish_together(self) -> None:
        lease = self.store.lease(60)
        for turn in range(5):
            self.store.commit(
                [], [base.Put(f"{turn}/{number}", b"", lease.id) for number in range(base.MAX_OPS)]
            )
        after = self.store.revision()
        lease.revoke()
        self.assertEqual([], self.keys())
        changes = self.changes(self.open_watch("", after), 5 * base.MAX_OPS)
        self.assertEqual({None}, {change.value for change in changes})

    def test_a_ttl_outside_the_contract_is_refused(self) -> None:
        for ttl in [0, 0.5, -1, 86401, float("nan"), float("inf")]:
            with self.subTest(ttl=ttl), self.assertRaises(base.InvalidOperation):
                self.store.lease(ttl)
