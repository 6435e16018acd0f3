"""The token driver keeps the contract; and the suite finds drivers that do not."""

import unittest

from apisvc import errors
from apisvc.auth import base
from apisvc.model import identity
from apisvc.service import tokens
from apisvc.testing import auth
from tests.unit.service import accounts


class TestTokens(auth.AuthSuite, accounts.AccountsCase):
    def make_driver(self):
        return self.auth

    def token(self, name, **grant):
        user = self.user(name)
        made = self.services.tokens.create(self.context(), user.id, tokens.Grant(**grant)).result
        return user, made

    def good(self):
        return {"X-AUTH-TOKEN": self.token("ann")[1].text}

    def bad(self):
        _, expired = self.token("bob", lifetime=60)
        self.clock.at += 60
        user, revoked = self.token("cyd")
        self.services.tokens.delete(self.context(), user.id, revoked.token.id)
        user, disabled = self.token("dan")
        self.services.users.update(self.context(), user.id, {"enabled": False})
        texts = [expired.text, revoked.text, disabled.text, "apisvc_" + "A" * 43]
        return [{"AUTHORIZATION": f"Bearer {text}"} for text in texts]


class Badges(base.AuthDriver):
    contract = "1.0"

    def authenticate(self, headers, *, deadline):
        badge = headers.get("X-BADGE")
        if badge is None:
            return None
        if badge != "ann":
            raise errors.Unauthenticated("This badge is not good.")
        return identity.Identity(user_id="1", user_name="ann", source="badge")


def judge(driver, test, suite_patience=0.5):
    class Case(auth.AuthSuite, unittest.TestCase):
        patience = suite_patience

        def make_driver(self):
            return driver(auth.group(driver, "badge"), None)

        def good(self):
            return {"X-BADGE": "ann"}

        def bad(self):
            return [{"X-BADGE": "stolen-badge"}]

    result = unittest.TestResult()
    Case(test).run(result)
    return result.wasSuccessful()


class TestSuite(unittest.TestCase):
    def test_a_good_driver_passes(self):
        for test in unittest.TestLoader().getTestCaseNames(auth.AuthSuite):
            self.assertTrue(judge(Badges, test, 30), test)

    def test_one_that_lets_everybody_in(self):
        class Open(Badges):
            def authenticate(self, headers, *, deadline):
                return identity.Identity(user_id="1", user_name="ann")

        self.assertFalse(judge(Open, "test_what_is_not_of_its_kind_is_left_to_others"))
        self.assertFalse(judge(Open, "test_what_is_not_good_is_refused"))
        self.assertFalse(judge(Open, "test_odd_credentials_are_refused_or_left_to_others"))

    def test_one_that_takes_everything_for_its_own(self):
        class Greedy(Badges):
            def authenticate(self, headers, *, deadline):
                raise errors.Unauthenticated

        self.assertFalse(judge(Greedy, "test_what_is_not_of_its_kind_is_left_to_others"))

    def test_one_that_repeats_what_was_sent(self):
        class Chatty(Badges):
            def authenticate(self, headers, *, deadline):
                raise errors.Unauthenticated(f"There is no {headers['X-BADGE']!r}.")

        self.assertFalse(judge(Chatty, "test_what_is_not_good_is_refused"))

    def test_one_that_raises_what_it_may_not(self):
        class Clumsy(Badges):
            def authenticate(self, headers, *, deadline):
                if "X-BADGE" in headers and not headers["X-BADGE"].strip("\x00"):
                    raise ValueError
                return super().authenticate(headers, deadline=deadline)

        self.assertFalse(judge(Clumsy, "test_odd_credentials_are_refused_or_left_to_others"))

    def test_one_that_is_half_made(self):
        class Case(auth.AuthSuite, unittest.TestCase):
            pass

        result = unittest.TestResult()
        Case("test_a_good_credential_is_an_identity").run(result)
        self.assertIn("say how your driver is made", result.errors[0][1])
