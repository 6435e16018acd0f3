import msgspec

from apisvc import errors
from apisvc.model import codec, identity, keys, tenants
from tests.unit.service import accounts

READER, MEMBER, MANAGER = identity.Role.READER, identity.Role.MEMBER, identity.Role.MANAGER


class MembersTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.members = self.services.members
        self.blue, self.ann = self.tenant(), self.user()

    def both(self):
        """The member as its tenant and as its user have it."""
        raw = self.raw()
        found = [
            raw.get(keys.join(keys.MEMBERS, self.blue.id, self.ann.id)),
            raw.get(keys.join(keys.MEMBERSHIPS, self.ann.id, self.blue.id)),
        ]
        return [codec.decode(value, tenants.Member).role if value else None for value in found]

    def test_put_makes_then_changes_both_keys(self):
        made = self.members.put(self.context(), self.blue.id, "ann", READER)
        self.assertTrue(made.result.new)
        self.assertEqual([READER, READER], self.both())
        changed = self.members.put(self.context(), self.blue.id, self.ann.id, MANAGER)
        self.assertFalse(changed.result.new)
        self.assertEqual([MANAGER, MANAGER], self.both())
        found = self.members.get(self.context(), self.blue.id, "ann")
        self.assertEqual((changed.revision, "ann"), (found.member.revision, found.user.value.name))

    def test_update_changes_only_what_is_there(self):
        update = self.members.update
        self.assertRaises(errors.NotFound, update, self.context(), self.blue.id, "ann", READER)
        self.assertRaises(errors.NotFound, update, self.context(), self.blue.id, "nobody", READER)
        self.member(self.blue, self.ann)
        update(self.context(), self.blue.id, "ann", READER)
        self.assertEqual([READER, READER], self.both())
        self.assertEqual("member", self.events()[-1].detail["from_role"])

    def test_delete(self):
        self.member(self.blue, self.ann)
        self.members.delete(self.context(), self.blue.id, "ann")
        self.assertEqual([None, None], self.both())
        for user in ("ann", "nobody"):
            delete = self.members.delete
            self.assertRaises(errors.NotFound, delete, self.context(), self.blue.id, user)

    def test_conditions(self):
        at_least = self.context(if_match=1)
        put = self.members.put
        self.assertRaises(errors.PreconditionFailed, put, at_least, self.blue.id, "ann", READER)
        revision = put(self.context(), self.blue.id, "ann", READER).revision
        for write in (
            lambda ctx: put(ctx, self.blue.id, "ann", MANAGER),
            lambda ctx: self.members.update(ctx, self.blue.id, "ann", MANAGER),
            lambda ctx: self.members.delete(ctx, self.blue.id, "ann"),
        ):
            self.assertRaises(errors.PreconditionFailed, write, self.context(if_match=revision + 1))
        put(self.context(if_match=revision), self.blue.id, "ann", MANAGER)
        self.assertEqual([MANAGER, MANAGER], self.both())

    def test_a_disabled_user_becomes_no_member(self):
        self.services.users.update(self.context(), "ann", {"enabled": False})
        put = self.members.put
        self.assertRaises(errors.WrongState, put, self.context(), self.blue.id, "ann", READER)
        self.assertRaises(errors.NotFound, put, self.context(), self.blue.id, "nobody", READER)

    def test_lists_name_the_other_end_and_page(self):
        users = [self.user(f"u{n}") for n in range(3)]
        for user in users:
            self.member(self.blue, user)
        first = self.members.of_tenant(self.context(), self.blue.id, self.page(2))
        rest = self.members.of_tenant(self.context(), self.blue.id, self.page(2, first.marker))
        self.assertEqual(["u0", "u1", "u2"], [i.user.value.name for i in (*first.items, *rest.items)])
        self.assertIsNone(rest.marker)

    def test_ones_own_tenants_are_those_of_the_credential_too(self):
        tenants_of = [self.tenant(f"t{n}") for n in range(5)]
        for tenant in tenants_of[::2]:
            self.member(tenant, self.ann)
        roles = {tenants_of[1].id: READER, tenants_of[2].id: READER, tenants_of[3].id: MANAGER}
        who = identity.Identity(
            user_id=self.ann.id, user_name="ann", roles={**roles, "of-no-tenant": MANAGER}
        )
        for limit in (1, 2, 3, 10):
            shown, marker = [], None
            while True:
                found = self.members.own(self.context(), who, self.page(limit, marker))
                self.assertLessEqual(len(found.items), limit)
                shown += [(item.value[0].name, item.value[1]) for item in found.items]
                marker = found.marker
                if marker is None:
                    break
            wanted = [("t0", MEMBER), ("t1", READER), ("t2", READER), ("t3", MANAGER), ("t4", MEMBER)]
            self.assertEqual(wanted, shown, limit)
        scoped = msgspec.structs.replace(who, scope_tenant_id=tenants_of[3].id, scope_role=MEMBER)
        (only,) = self.members.own(self.context(), scoped, self.page()).items
        self.assertEqual(("t3", MEMBER), (only.value[0].name, only.value[1]))

    def test_a_users_tenants(self):
        tenants_of = [self.tenant(f"t{n}") for n in range(3)]
        for tenant in tenants_of:
            self.member(tenant, self.ann)
        found = self.members.of_user(self.context(), self.ann.id, self.page())
        self.assertEqual(["t0", "t1", "t2"], [item.tenant.value.name for item in found.items])
        only = self.members.of_user(self.context(), self.ann.id, self.page(), only=tenants_of[1].id)
        self.assertEqual(["t1"], [item.tenant.value.name for item in only.items])
        none = self.members.of_user(self.context(), self.ann.id, self.page(), only=self.blue.id)
        self.assertEqual((), none.items)
