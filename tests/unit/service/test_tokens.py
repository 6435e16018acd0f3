import hashlib

from apisvc import errors
from apisvc.model import identity
from apisvc.service import tokens
from tests.unit.service import accounts

READER, MEMBER, MANAGER = identity.Role.READER, identity.Role.MEMBER, identity.Role.MANAGER


class TokensTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.tokens = self.services.tokens
        self.ann = self.user("ann")
        self.blue, self.red = self.tenant("blue"), self.tenant("red")
        self.member(self.blue, self.ann, MANAGER)

    def make(self, caller=None, user=None, **grant):
        user = user or self.ann
        return self.tokens.create(self.context(caller), user.id, tokens.Grant(**grant)).result

    def test_the_text_is_nowhere_in_the_store(self):
        made = self.make(name="laptop")
        self.assertRegex(made.text, r"^apisvc_[A-Za-z0-9_-]{43}$")
        secret = made.text.removeprefix("apisvc_")
        for key, value in self.raw().items():
            self.assertNotIn(secret[8:], key)
            self.assertNotIn(secret[8:].encode(), value)
        self.assertIn(f"tokens/{hashlib.sha256(made.text.encode()).hexdigest()}", self.keys())
        self.assertTrue(made.text.startswith(made.token.hint))
        self.assertNotIn(made.text, repr(made))

    def test_listed_and_shown(self):
        texts = [self.make(name=f"n{n}") for n in range(3)]
        first = self.tokens.list(self.context(), self.ann.id, self.page(2))
        rest = self.tokens.list(self.context(), self.ann.id, self.page(2, first.marker))
        names = [item.value.name for item in (*first.items, *rest.items)]
        self.assertEqual(["n0", "n1", "n2"], names)
        found = self.tokens.get(self.context(), self.ann.id, texts[1].token.id)
        self.assertEqual(texts[1].token, found.value)

    def test_what_is_not_the_users_is_not_found(self):
        bob = self.user("bob")
        token = self.make().token
        for user, ref in ((bob, token.id), (self.ann, "x"), (self.ann, "../x"), (self.ann, bob.id)):
            self.assertRaises(errors.NotFound, self.tokens.get, self.context(), user.id, ref)
            self.assertRaises(errors.NotFound, self.tokens.delete, self.context(), user.id, ref)
        self.services.users.delete(self.context(), "bob")
        self.assertRaises(errors.NotFound, self.make, user=bob)

    def test_lifetimes(self):
        self.conf.set_override("lifetime", 100, group="token")
        self.conf.set_override("max_lifetime", 200, group="token")
        self.assertEqual(self.clock.at + 100, self.make().token.expires_at)
        self.assertEqual(self.clock.at + 60, self.make(lifetime=60).token.expires_at)
        error = self.assertRaises(errors.InvalidRequest, self.make, lifetime=201)
        self.assertEqual("/lifetime", error.errors[0].pointer)
        self.conf.set_override("lifetime", 300, group="token")
        self.assertEqual(self.clock.at + 200, self.make().token.expires_at)

    def test_a_tenant_must_be_one_of_the_users(self):
        self.assertEqual(self.blue.id, self.make(tenant="blue").token.tenant_id)
        foreign = self.assertRaises(errors.InvalidRequest, self.make, tenant="red")
        missing = self.assertRaises(errors.InvalidRequest, self.make, tenant="tan")
        self.assertEqual("/tenant", foreign.errors[0].pointer)
        self.assertEqual(str(missing), str(foreign).replace("red", "tan"))

    def test_only_admins_have_tokens_that_may_act_as_one(self):
        root = self.user("root", admin=True)
        admin = identity.Identity(user_id=root.id, user_name="root", admin=True)
        plain = identity.Identity(user_id=root.id, user_name="root")
        self.assertTrue(self.make(admin, root, admin=True).token.admin)
        self.assertFalse(self.make(admin, root).token.admin)
        self.assertRaises(errors.Forbidden, self.make, plain, root, admin=True)
        self.assertRaises(errors.Forbidden, self.make, admin, self.ann, admin=True)
        self.assertRaises(errors.InvalidRequest, self.make, admin, root, admin=True, role=READER)
        self.assertRaises(errors.InvalidRequest, self.make, admin, root, admin=True, tenant="blue")

    def test_a_token_makes_none_with_more_rights_than_its_own(self):
        caller = identity.Identity(user_id=self.ann.id, user_name="ann", scope_role=MEMBER)
        self.assertEqual(MEMBER, self.make(caller).token.role)
        self.assertEqual(READER, self.make(caller, role=READER).token.role)
        self.assertRaises(errors.Forbidden, self.make, caller, role=MANAGER)
        self.member(self.red, self.ann)
        caller = identity.Identity(user_id=self.ann.id, user_name="ann", scope_tenant_id=self.blue.id)
        self.assertEqual(self.blue.id, self.make(caller).token.tenant_id)
        self.assertEqual(self.blue.id, self.make(caller, tenant="blue").token.tenant_id)
        for tenant in ("red", self.red.id, "tan"):
            self.assertRaises(errors.InvalidRequest, self.make, caller, tenant=tenant)

    def test_a_token_revokes_none_with_more_rights_than_its_own(self):
        free, small = self.make(), self.make(role=READER, tenant="blue")
        delete = self.tokens.delete
        limited = self.context(self.login(small.text))
        more = self.make(role=MEMBER, tenant="blue").token
        self.assertRaises(errors.Forbidden, delete, limited, self.ann.id, more.id)
        delete(limited, self.ann.id, self.make(role=READER, tenant="blue").token.id)
        delete(limited, self.ann.id, small.token.id)
        delete(self.context(self.login(free.text)), self.ann.id, self.make(role=MANAGER).token.id)
        delete(self.context(self.login(free.text)), self.ann.id, free.token.id)

    def test_from_within_one_tenant_nothing_is_seen_of_others(self):
        self.member(self.red, self.ann)
        small = self.make(name="small", tenant="blue")
        others = [self.make(), self.make(tenant="red")]
        ctx = self.context(self.login(small.text))
        found = self.tokens.list(ctx, self.ann.id, self.page()).items
        self.assertEqual(["small"], [item.value.name for item in found])
        for other in others:
            self.assertRaises(errors.NotFound, self.tokens.get, ctx, self.ann.id, other.token.id)
            self.assertRaises(errors.NotFound, self.tokens.delete, ctx, self.ann.id, other.token.id)

    def test_revoked_at_once_and_with_all_its_keys(self):
        before = self.keys()
        made = self.make(tenant="blue")
        self.login(made.text)
        self.tokens.delete(self.context(), self.ann.id, made.token.id)
        self.assertRaises(errors.Unauthenticated, self.login, made.text)
        self.assertEqual(before, self.keys())

    def test_none_for_a_disabled_user(self):
        self.services.users.update(self.context(), "ann", {"enabled": False})
        self.assertRaises(errors.WrongState, self.make)
