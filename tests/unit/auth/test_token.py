import hashlib
import time

import hypothesis
from hypothesis import strategies

from apisvc import errors
from apisvc.auth import token as driver
from apisvc.model import codec, identity, keys, users
from apisvc.service import tokens
from tests.unit.service import accounts


class TokenAuthTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.ann = self.user("ann")
        self.made = self.services.tokens.create(self.context(), self.ann.id, tokens.Grant()).result

    def ask(self, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.auth.authenticate(named, deadline=time.monotonic() + 10)

    def test_either_header(self):
        text = self.made.text
        for headers in (
            {"X_AUTH_TOKEN": text},
            {"AUTHORIZATION": f"Bearer {text}"},
            {"AUTHORIZATION": f"bearer  {text} "},
            {"X_AUTH_TOKEN": text, "AUTHORIZATION": "Basic xyz"},
        ):
            self.assertEqual(self.ann.id, self.ask(**headers).user_id)

    def test_what_is_not_of_our_kind_is_left_to_others(self):
        for headers in (
            {},
            {"AUTHORIZATION": "Basic " + self.made.text},
            {"AUTHORIZATION": "Bearer"},
            {"AUTHORIZATION": "Bearer gAAAAABkeystone"},
            {"X_AUTH_TOKEN": ""},
            {"X_AUTH_TOKEN": "apisvc"},
            {"X_AUTH_TOKEN": "\xe9\x00\n"},
        ):
            self.assertIsNone(self.ask(**headers), headers)

    def test_what_is_not_good_is_refused_alike(self):
        text = self.made.text
        expired = self.services.tokens.create(
            self.context(), self.ann.id, tokens.Grant(lifetime=60)
        ).result.text
        self.clock.at += 60
        told = set()
        for bad in (
            "apisvc_",
            "apisvc_" + "A" * 43,
            text + "A",
            text[:-1],
            text + "\n" + "x",
            "apisvc_" + "\xe9" * 43,
            "apisvc_" + "/" * 100_000,
            expired,
        ):
            told.add(str(self.assertRaises(errors.Unauthenticated, self.ask, X_AUTH_TOKEN=bad)))
        self.services.users.update(self.context(), "ann", {"enabled": False})
        told.add(str(self.assertRaises(errors.Unauthenticated, self.ask, X_AUTH_TOKEN=text)))
        self.assertEqual(1, len(told))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(
        strategies.text(alphabet=strategies.characters(max_codepoint=255)), strategies.booleans()
    )
    def test_no_text_breaks_it(self, text, ours):
        text = "apisvc_" + text if ours else text
        for headers in ({"X_AUTH_TOKEN": text}, {"AUTHORIZATION": "Bearer " + text}):
            try:
                self.assertIsNone(self.ask(**headers))
            except errors.Unauthenticated:
                self.assertIn("apisvc_", text)

    def test_a_disabled_user_is_refused_until_enabled(self):
        self.services.users.update(self.context(), "ann", {"enabled": False})
        self.assertRaises(errors.Unauthenticated, self.login, self.made.text)
        self.services.users.update(self.context(), "ann", {"enabled": True})
        self.assertEqual("ann", self.login(self.made.text).user_name)

    def test_limits_are_handed_on(self):
        blue = self.tenant()
        self.member(blue, self.ann)
        grant = tokens.Grant(tenant="blue", role=identity.Role.READER)
        made = self.services.tokens.create(self.context(), self.ann.id, grant).result
        caller = self.login(made.text)
        self.assertEqual(
            (blue.id, identity.Role.READER, made.token.id, False),
            (caller.scope_tenant_id, caller.scope_role, caller.token_id, caller.admin),
        )

    def test_admin_takes_the_users_word_and_the_tokens(self):
        root = self.user("root", admin=True)
        self.user("other", admin=True)
        create = self.services.tokens.create
        may = create(self.context(), root.id, tokens.Grant(admin=True)).result.text
        may_not = create(self.context(), root.id, tokens.Grant()).result.text
        self.assertTrue(self.login(may).admin)
        self.assertFalse(self.login(may_not).admin)
        self.services.users.update(self.context(), "root", {"admin": False})
        self.assertFalse(self.login(may).admin)

    def test_two_reads_and_no_write(self):
        calls = []
        get = self.store.get
        self.store.get = lambda *args, **kw: calls.append(args) or get(*args, **kw)
        revision = self.store.revision()
        self.login(self.made.text)
        self.assertEqual(2, len(calls))
        self.assertEqual(revision, self.store.revision())


class UsesTest(accounts.AccountsCase):
    def setUp(self):
        super().setUp()
        self.ann = self.user("ann")
        self.made = self.services.tokens.create(self.context(), self.ann.id, tokens.Grant()).result
        self.key = keys.TOKENS + hashlib.sha256(self.made.text.encode()).hexdigest()
        self.uses = driver.Uses(self.store, interval=300)
        self.uses.delay = 3600.0  # the tests flush themselves
        self.addCleanup(self.uses.stop)

    def used(self):
        return codec.decode(self.raw()[self.key], users.Token).last_used_at

    def test_a_use_is_noted_once_in_the_interval(self):
        self.uses.note(self.key, None, 1000.0)
        self.assertIsNone(self.used())
        self.uses.flush()
        self.assertEqual(1000.0, self.used())
        revision = self.store.revision()
        self.uses.note(self.key, 1000.0, 1299.0)
        self.uses.note(self.key, None, 1299.0)  # read before the note was there
        self.uses.flush()
        self.assertEqual(revision, self.store.revision())
        self.uses.note(self.key, 1000.0, 1300.0)
        self.uses.flush()
        self.assertEqual(1300.0, self.used())

    def test_a_revoked_token_does_not_come_back(self):
        self.uses.note(self.key, None, 1000.0)
        self.services.tokens.delete(self.context(), self.ann.id, self.made.token.id)
        self.uses.flush()
        self.assertNotIn(self.key, self.raw())

    def test_one_revoked_between_read_and_write_does_not_come_back(self):
        commit = self.store.commit

        def late(*args, **kw):
            self.store.commit = commit
            self.services.tokens.delete(self.context(), self.ann.id, self.made.token.id)
            return commit(*args, **kw)

        self.uses.note(self.key, None, 1000.0)
        self.store.commit = late
        self.uses.flush()
        self.assertNotIn(self.key, self.raw())

    def test_a_store_out_of_reach_is_only_logged(self):
        self.uses.note(self.key, None, 1000.0)
        with self.assertLogs(driver.LOG, "WARNING") as logged:
            self.store.get = self._fail
            self.uses.flush()
        self.assertNotIn(self.made.text, "".join(logged.output))

    @staticmethod
    def _fail(*args, **kw):
        raise errors.StoreUnavailable()

    def test_it_is_written_by_itself_outside_the_request(self):
        self.uses.delay = 0.001
        with self.store.watch(self.key, after=self.store.revision()) as watch:
            self.uses.note(self.key, None, 1000.0)
            end = time.monotonic() + 10
            while self.used() is None and time.monotonic() < end:
                watch.poll(1.0)
        self.assertEqual(1000.0, self.used())
