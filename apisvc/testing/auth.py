"""The contract of authentication drivers as tests: :mod:`apisvc.auth.base`, sentence by sentence.

A driver's author says which credentials there are, and gets every scenario::

    import unittest

    from apisvc.testing import auth


    class TestBadges(auth.AuthSuite, unittest.TestCase):
        def make_driver(self):
            return BadgeAuth(auth.group(BadgeAuth, "badge", url=URL), None)

        def good(self):
            return {"X-BADGE": "ann:secret"}

        def bad(self):
            return [{"X-BADGE": "ann:wrong"}, {"X-BADGE": "nobody:secret"}]
"""

import concurrent.futures
import time
import types
from collections.abc import Mapping, Sequence

from oslo_config import cfg

from apisvc import errors
from apisvc.auth import base
from apisvc.model import identity
from apisvc.testing import case
from apisvc.testing.case import group

__all__ = ["AuthSuite", "group"]

#: Credentials that can be no driver's.
NOBODYS: tuple[Mapping[str, str], ...] = (
    {},
    {"ACCEPT": "application/json"},
    {"AUTHORIZATION": ""},
    {"AUTHORIZATION": "\xe9"},
    {"AUTHORIZATION": "Nonesuch realm"},
)


class AuthSuite(case.Case):
    """Every scenario. Combine it with ``unittest.TestCase``, as shown at the top."""

    #: Seconds that any one call may take.
    patience = 10.0

    def make_driver(self) -> base.AuthDriver:
        """A driver that knows the credentials below."""
        raise NotImplementedError("say how your driver is made")

    def good(self) -> Mapping[str, str]:
        """Headers, with upper-case names, that bear a good credential."""
        raise NotImplementedError("give a credential that your driver accepts")

    def bad(self) -> Sequence[Mapping[str, str]]:
        """Headers with credentials of the driver's kind that are not good: unknown, forged, expired, revoked."""
        raise NotImplementedError("give credentials that your driver refuses")

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.make_driver()

    def ask(self, headers: Mapping[str, str], seconds: float | None = None) -> identity.Identity | None:
        deadline = time.monotonic() + (self.patience if seconds is None else seconds)
        return self.driver.authenticate(types.MappingProxyType(dict(headers)), deadline=deadline)

    # What it says of itself

    def test_it_is_written_for_this_contract(self) -> None:
        self.assertRegex(self.driver.contract, r"^\d+\.\d+$")
        self.assertEqual(base.CONTRACT.split(".")[0], self.driver.contract.split(".")[0])

    def test_each_option_says_what_it_is_for(self) -> None:
        for option in type(self.driver).options():
            self.assertIsInstance(option, cfg.Opt)
            self.assertTrue(option.help, f"{option.name} has no help")

    # Who is it?

    def test_a_good_credential_is_an_identity(self) -> None:
        found = self.ask(self.good())
        assert found is not None, "the good credential is not of its kind"
        self.assertIsInstance(found, identity.Identity)
        self.assertTrue(found.user_id)
        self.assertTrue(found.user_name)
        for tenant_id, role in found.roles.items():
            self.assertIsInstance(tenant_id, str)
            self.assertIsInstance(role, identity.Role)

    def test_many_ask_at_once(self) -> None:
        headers = self.good()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: self.ask(headers), range(64)))
        self.assertEqual([found[0]] * 64, found)

    def test_what_is_not_of_its_kind_is_left_to_others(self) -> None:
        for headers in NOBODYS:
            self.assertIsNone(self.ask(headers), headers)

    def test_what_is_not_good_is_refused(self) -> None:
        wrong = self.bad()
        self.assertTrue(wrong, "there is always a credential that is not good")
        for headers in wrong:
            with self.assertRaises(errors.Unauthenticated, msg=str(headers)) as caught:
                self.ask(headers)
            for value in headers.values():
                self.assertNotIn(value, caught.exception.detail, "a credential is repeated in an answer")

    def test_odd_credentials_are_refused_or_left_to_others(self) -> None:
        good = self.good()
        for name, value in good.items():
            for odd in ("", " ", "\x00", "\xe9\x00\n", "=" * 100_000, value[: len(value) // 2]):
                try:
                    found = self.ask({**good, name: odd})
                except errors.Unauthenticated:
                    continue
                self.assertIsNone(found, f"{name}: {odd[:20]!r}")

    def test_past_its_deadline_it_does_not_wait(self) -> None:
        begun = time.monotonic()
        try:
            self.ask(self.good(), seconds=-1)
        except errors.Unavailable as error:
            self.assertTrue(error.detail)
        self.assertLess(time.monotonic() - begun, self.patience / 2)
