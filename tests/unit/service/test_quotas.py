from apisvc import errors
from apisvc.model import codec, keys, tenants
from apisvc.storage import base as storage
from tests.unit.service import accounts


class QuotasTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.quotas = self.services.quotas
        self.blue = self.tenant()

    def use(self, **amounts):
        ledger = tenants.Ledger(tenant_id=self.blue.id, used=tenants.Amounts(**amounts))
        self.store.commit([], [storage.Put(keys.join(keys.LEDGERS, self.blue.id), codec.encode(ledger))])

    def test_only_the_limits_named_change(self):
        done = self.quotas.update(self.context(), "blue", {"vcpus": -1})
        self.assertEqual((20, -1), (done.result.quota.instances, done.result.quota.vcpus))
        self.assertEqual(done.revision, self.services.tenants.get(self.context(), "blue").revision)
        changes = self.events()[-1].detail["changes"]["quota"]
        self.assertEqual((40, -1), (changes["from"]["vcpus"], changes["to"]["vcpus"]))

    def test_a_limit_may_fall_below_what_is_used(self):
        self.use(instances=9)
        self.quotas.update(self.context(), "blue", {"instances": 3})
        usage = self.quotas.usage(self.context(), self.services.tenants.get(self.context(), "blue"))
        self.assertEqual((3, 9), (usage.tenant.value.quota.instances, usage.used.instances))

    def test_a_stale_revision_changes_nothing(self):
        ctx = self.context(if_match=999)
        self.assertRaises(errors.PreconditionFailed, self.quotas.update, ctx, "blue", {"vcpus": 1})
        self.assertRaises(errors.NotFound, self.quotas.update, self.context(), "red", {"vcpus": 1})

    def test_the_usage_of_all(self):
        for n in range(130):
            self.tenant(f"t{n:03}")
        self.use(vcpus=5)
        first = self.quotas.list_usage(self.context(), self.page(130))
        self.assertEqual(5, first.items[0].used.vcpus)
        rest = self.quotas.list_usage(self.context(), self.page(130, first.marker))
        self.assertEqual(["t129"], [item.tenant.value.name for item in rest.items])
        self.assertIsNone(rest.marker)
