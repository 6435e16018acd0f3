from apisvc import errors
from apisvc.model import users
from apisvc.service import bootstrap
from tests.unit.service import accounts

TEXT = users.TOKEN_PREFIX + "A" * 43


class BootstrapTest(accounts.AccountsCase):
    def ensure(self, **kw):
        return bootstrap.ensure_admin(self.context(), self.services, **kw)

    def test_the_first_time_there_is_an_admin_with_a_token(self):
        made = self.ensure()
        caller = self.login(made.token)
        self.assertEqual((made.user.id, "admin", True), (caller.user_id, caller.user_name, caller.admin))
        self.assertNotIn(made.token, repr(made))

    def test_the_next_time_nothing_changes(self):
        first, before = self.ensure(), self.raw()
        again = self.ensure()
        self.assertEqual((first.user, None), (again.user, again.token))
        self.assertEqual(before, self.raw())

    def test_a_lost_token_is_made_anew(self):
        first = self.ensure()
        again = self.ensure(anew=True)
        self.assertEqual(first.user.id, self.login(again.token).user_id)
        self.assertTrue(self.login(first.token).admin)

    def test_an_expired_token_is_replaced(self):
        self.ensure()
        self.clock.at += 10 * 365 * 86400
        self.assertTrue(self.login(self.ensure().token).admin)

    def test_a_known_text_is_used_once(self):
        self.assertEqual(TEXT, self.ensure(text=TEXT).token)
        self.assertIsNone(self.ensure(text=TEXT).token)
        self.assertTrue(self.login(TEXT).admin)
        self.assertRaises(errors.InvalidRequest, self.ensure, text="apisvc_short")

    def test_a_user_who_is_no_admin_or_disabled_becomes_one(self):
        ann = self.user("ann", enabled=False)
        made = self.ensure(name="ann")
        self.assertEqual(ann.id, made.user.id)
        self.assertTrue(self.login(made.token).admin)

    def test_what_cannot_be_a_name_is_refused(self):
        for name in ("", "a b", "00000000-0000-7000-8000-000000000001"):
            self.assertRaises(errors.InvalidRequest, self.ensure, name=name)
        self.assertEqual({}, self.raw())
