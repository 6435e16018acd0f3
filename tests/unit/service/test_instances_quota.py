"""Instances are held against the quota of their tenant, also when many are asked for at once."""

from apisvc import errors
from apisvc.model import keys
from apisvc.service import transaction
from tests.unit.service import instances_case


class QuotaTest(instances_case.InstancesCase):
    def test_up_to_the_limit_and_not_beyond(self):
        for _ in range(10):
            self.create()
        self.assertEqual(self.amounts(10, 10, 1000, 10), self.used())
        error = self.assertRaises(errors.QuotaExceeded, self.create)
        self.assertEqual(
            [
                {"resource": "instances", "limit": 10, "used": 10, "asked": 1, "free": 0},
                {"resource": "ram_mb", "limit": 1000, "used": 1000, "asked": 100, "free": 0},
            ],
            error.extensions["exceeded"],
        )
        self.assertIn("ram_mb: 100 asked, 0 free", error.detail)

    def test_unlimited_is_never_exceeded_and_a_lowered_limit_frees_nothing(self):
        self.services.quotas.update(self.context(), "acme", {"instances": -1, "ram_mb": -1})
        for _ in range(12):
            self.create()
        self.services.quotas.update(self.context(), "acme", {"instances": 3})
        error = self.assertRaises(errors.QuotaExceeded, self.create)
        self.assertEqual(0, error.extensions["exceeded"][0]["free"])

    def test_the_last_place_taken_between_look_and_commit(self):
        self.services.quotas.update(self.context(), "acme", {"instances": 1})
        other = self.process()
        self.meanwhile(lambda: self.create(by=other))
        self.assertRaises(errors.QuotaExceeded, self.create)
        self.assertEqual(1, self.used().instances)
        self.assertEqual(1, len(self.store.scan(keys.INSTANCES).records))

    def test_a_tenant_disabled_between_look_and_commit(self):
        self.meanwhile(lambda: self.services.tenants.update(self.context(), "acme", {"state": "disabled"}))
        self.assertRaises(errors.WrongState, self.create)
        self.assertEqual(0, self.used().instances)

    def test_sixty_at_once_against_ten(self):
        results = self.at_once([self.create] * 60)
        made = [r for r in results if isinstance(r, transaction.Committed)]
        refused = [r for r in results if isinstance(r, errors.QuotaExceeded)]
        self.assertEqual((10, 50), (len(made), len(refused)))
        self.assertEqual(10, self.used().instances)
        self.assertEqual(10, len(self.store.scan(keys.INSTANCES).records))

    def test_the_same_key_twenty_times_at_once_makes_one(self):
        self.services.quotas.update(self.context(), "acme", {"instances": 1})
        works = [lambda: self.create(self.replayable(), name="web")] * 20
        results = self.at_once(works)
        [made] = [r for r in results if isinstance(r, transaction.Committed)]
        replays = [r for r in results if isinstance(r, transaction.Replayed)]
        self.assertEqual(19, len(replays))
        self.assertEqual(
            {made.result.id}, {self.box.decrypt(r.record.value.answer).decode() for r in replays}
        )
        self.assertEqual(1, self.used().instances)

    def test_what_was_refused_leaves_nothing(self):
        self.services.quotas.update(self.context(), "acme", {"vcpus": 0})
        before = self.raw()
        self.assertRaises(errors.QuotaExceeded, self.create, self.replayable(), name="web")
        self.assertEqual(before, self.raw())
