"""The keystone driver keeps the contract of authentication drivers."""

import testtools

from apisvc.testing import auth
from tests.unit.auth.keystone import scripted


class TestKeystone(auth.AuthSuite, testtools.TestCase):
    def make_driver(self):
        self.keystone = self.useFixture(scripted.Keystone())
        return self.keystone.driver()

    def good(self):
        return {"X-AUTH-TOKEN": self.keystone.token("member")[0]}

    def bad(self):
        revoked, _ = self.keystone.token("member")
        del self.keystone.tokens[revoked]
        texts = [revoked, self.keystone.token("member", lifetime=-1)[0], "gAAAAA-of-nobody-at-all"]
        forged = {"X-AUTH-TOKEN": self.keystone.token("member")[0], "X-SERVICE-TOKEN": "gAAAAA-no-service"}
        return [*({"X-AUTH-TOKEN": text} for text in texts), forged]


class TestOfAService(TestKeystone):
    def good(self):
        return {**super().good(), "X-SERVICE-TOKEN": self.keystone.token("service")[0]}
