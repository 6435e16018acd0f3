from apisvc import errors
from apisvc.model import codec, identity, keys, tenants
from apisvc.service import tokens
from apisvc.storage import base as storage
from tests.unit.service import accounts

REMOVING = tenants.TenantState.REMOVING


class TenantsTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.tenants = self.services.tenants

    def test_a_new_tenant_has_the_default_limits_but_those_it_names(self):
        self.conf.set_override("vcpus", 7, group="quota")
        made = self.tenants.create(self.context(), name="blue", quota={"instances": 3})
        found = self.tenants.get(self.context(), made.result.id)
        self.assertEqual(made.revision, found.revision)
        self.assertEqual(
            (3, 7, 65536), (found.value.quota.instances, found.value.quota.vcpus, found.value.quota.ram_mb)
        )
        self.assertEqual(found, self.tenants.get(self.context(), "blue"))
        self.assertIn(f"ledgers/{made.result.id}", self.keys())

    def test_a_name_is_taken_once(self):
        self.tenant("blue")
        before = self.raw()
        self.assertRaises(errors.AlreadyExists, self.tenants.create, self.context(), name="blue")
        self.assertEqual(before, self.raw())

    def test_what_is_no_tenant_is_not_found(self):
        self.tenant("blue")
        for ref in ("red", "", "b" * 5000, "\ud800", "a/b", "../x", "00000000-0000-7000-8000-ffffffffffff"):
            self.assertRaises(errors.NotFound, self.tenants.get, self.context(), ref)

    def test_an_id_is_one_in_either_case(self):
        tenant = self.tenant()
        self.assertEqual(tenant, self.tenants.get(self.context(), tenant.id.upper()).value)

    def test_a_rename_frees_the_old_name(self):
        tenant = self.tenant("blue")
        self.tenants.update(self.context(), "blue", {"name": "navy"})
        self.assertEqual(tenant.id, self.tenants.get(self.context(), "navy").value.id)
        self.assertRaises(errors.NotFound, self.tenants.get, self.context(), "blue")
        self.tenant("blue")
        self.assertRaises(errors.AlreadyExists, self.tenants.update, self.context(), "navy", {"name": "blue"})

    def test_an_update_needs_the_revision_that_it_names(self):
        self.tenant()
        revision = self.tenants.get(self.context(), "blue").revision
        stale = self.context(if_match=revision + 1)
        self.assertRaises(errors.PreconditionFailed, self.tenants.update, stale, "blue", {"description": "x"})
        done = self.tenants.update(self.context(if_match=revision), "blue", {"description": "x"})
        self.assertEqual("x", done.result.description)
        self.assertRaises(
            errors.PreconditionFailed, self.tenants.delete, self.context(if_match=revision), "blue"
        )

    def test_an_update_tells_what_changed(self):
        self.tenant()
        revision = self.tenants.get(self.context(), "blue").revision
        self.clock.at += 60
        self.tenants.update(self.context(request_id="req-1"), "blue", {"description": "x"})
        event = self.events()[-1]
        self.assertEqual({"description": {"from": "", "to": "x"}}, event.detail["changes"])
        self.assertEqual((revision, "req-1"), (event.before, event.request_id))

    def test_lists_filter_and_page(self):
        for n in range(5):
            self.tenant(f"t{n}", labels={"even": str(n % 2 == 0)})
        self.tenants.update(self.context(), "t3", {"state": tenants.TenantState.DISABLED})

        def names(**kw):
            page = self.page(kw.pop("limit", 100), kw.pop("marker", None))
            found = self.tenants.list(self.context(), page, **kw)
            return [item.value.name for item in found.items], found.marker

        first, marker = names(limit=2)
        self.assertEqual(["t0", "t1"], first)
        self.assertEqual(["t2", "t3", "t4"], names(marker=marker)[0])
        self.assertEqual((["t0", "t2", "t4"], None), names(labels=("even=True",)))
        self.assertEqual((["t3"], None), names(state=tenants.TenantState.DISABLED))
        self.assertEqual((["t1"], None), names(name="t1"))
        self.assertEqual(([], None), names(name="t1", labels=("even=True",)))
        self.assertEqual(([], None), names(name="t9"))


class VisibleTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.blue, self.red = self.tenant("blue"), self.tenant("red")
        self.ann = self.user()
        self.member(self.blue, self.ann, identity.Role.MANAGER)

    def see(self, ref, **kw):
        caller = identity.Identity(user_id=self.ann.id, user_name="ann", **kw)
        return self.services.tenants.visible(self.context(caller), ref)

    def test_a_member_sees_the_tenant_and_its_role(self):
        for ref in ("blue", self.blue.id):
            seen = self.see(ref)
            self.assertEqual((self.blue, identity.Role.MANAGER), (seen.tenant.value, seen.role))

    def test_a_foreign_tenant_is_as_none(self):
        foreign = self.assertRaises(errors.NotFound, self.see, "red")
        missing = self.assertRaises(errors.NotFound, self.see, "tan")
        self.assertEqual(str(missing), str(foreign).replace("red", "tan"))

    def test_an_admin_sees_all_and_has_no_role_of_a_member(self):
        self.assertIsNone(self.see("red", admin=True).role)

    def test_a_token_of_one_tenant_sees_no_other(self):
        self.member(self.red, self.ann)
        self.assertEqual(self.red, self.see("red", scope_tenant_id=self.red.id).tenant.value)
        self.assertRaises(errors.NotFound, self.see, "blue", scope_tenant_id=self.red.id)
        self.assertRaises(errors.NotFound, self.see, "blue", scope_tenant_id=self.red.id, admin=True)

    def test_a_token_caps_the_role(self):
        self.assertEqual(identity.Role.READER, self.see("blue", scope_role=identity.Role.READER).role)

    def test_roles_of_the_credential_come_first(self):
        self.assertEqual(
            identity.Role.READER, self.see("red", roles={self.red.id: identity.Role.READER}).role
        )


class RemovalTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.tenants = self.services.tenants
        self.blue, self.red = self.tenant("blue"), self.tenant("red")

    def finish(self):
        return self.tenants.finish_removal(self.context(), self.blue.id)

    def test_a_removal_is_begun_once(self):
        first = self.tenants.delete(self.context(), "blue")
        self.assertEqual(REMOVING, first.result.state)
        again = self.tenants.delete(self.context(), "blue")
        self.assertEqual(first, again)
        self.assertEqual(1, self.actions().count("tenant.delete"))

    def test_nothing_new_in_one_that_is_disabled_or_removed(self):
        ann, bob = self.user("ann"), self.user("bob")
        self.member(self.blue, ann)
        self.tenants.update(self.context(), "blue", {"state": tenants.TenantState.DISABLED})
        grant = tokens.Grant(tenant="blue")
        for _ in range(2):
            self.assertRaises(errors.WrongState, self.member, self.blue, bob)
            self.assertRaises(errors.WrongState, self.services.tokens.create, self.context(), ann.id, grant)
            self.member(self.blue, ann, identity.Role.READER)
            self.tenants.delete(self.context(), "blue")
        self.assertRaises(
            errors.WrongState, self.tenants.update, self.context(), "blue", {"description": "x"}
        )
        self.assertRaises(
            errors.WrongState, self.services.quotas.update, self.context(), "blue", {"vcpus": 1}
        )
        self.services.members.delete(self.context(), self.blue.id, "ann")

    def test_only_one_that_is_being_removed_and_is_empty_goes(self):
        self.assertFalse(self.finish())
        self.tenants.delete(self.context(), "blue")
        instance = keys.join(keys.INSTANCES, self.blue.id, "i")
        self.store.commit([], [storage.Put(instance, b"{}")])
        self.assertFalse(self.finish())
        self.store.commit([], [storage.Delete(instance)])
        self.assertTrue(self.finish())
        self.assertTrue(self.finish())

    def test_all_that_is_the_tenants_goes_with_it_in_bounded_steps(self):
        users = [self.user(f"u{n}") for n in range(40)]
        before = self.keys()
        green = self.tenant("green")
        for user in users:
            for tenant in (green, self.red):
                self.member(tenant, user)
            self.services.tokens.create(self.context(), user.id, tokens.Grant(tenant="green"))
        kept = self.services.tokens.create(self.context(), users[0].id, tokens.Grant(tenant="red")).result
        self.tenants.delete(self.context(), "green")
        self.assertTrue(self.tenants.finish_removal(self.context(), green.id))
        left = self.keys() - before
        self.assertEqual(80, len([key for key in left if key.startswith(("members/", "memberships/"))]))
        self.assertEqual(83, len(left))
        self.assertEqual(users[0].id, self.login(kept.text).user_id)
        counted = self.actions()
        self.assertEqual(40, counted.count("member.delete"))
        self.assertEqual(40, counted.count("token.delete"))
        self.assertEqual("tenant.removed", counted[-1])
        self.tenant("green")

    def test_a_removal_cut_short_goes_on(self):
        green = self.tenant("green")
        for n in range(40):
            self.member(green, self.user(f"u{n}"))
        self.tenants.delete(self.context(), "green")
        commits = []

        def failing(*args, **kw):
            if commits:
                raise errors.StoreUnavailable()
            commits.append(args)
            return type(self.store).commit(self.store, *args, **kw)

        self.store.commit = failing
        finish = self.tenants.finish_removal
        self.assertRaises(errors.StoreUnavailable, finish, self.context(), green.id)
        del self.store.commit
        self.assertEqual(REMOVING, self.tenants.get(self.context(), "green").value.state)
        self.assertTrue(finish(self.context(), green.id))
        self.assertEqual([], [key for key in self.keys() if green.id in key])

    def test_an_index_entry_without_its_token_does_not_keep_it(self):
        self.tenants.delete(self.context(), "blue")
        stray = keys.join(keys.TOKEN_TENANTS, self.blue.id, self.red.id)
        self.store.commit([], [storage.Put(stray, codec.encode("0" * 64))])
        self.assertTrue(self.finish())
        self.assertNotIn(stray, self.keys())
