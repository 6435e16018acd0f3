"""Whom a token of Keystone's stands for."""

import time
import uuid

import testtools

from apisvc import errors
from apisvc.model import identity
from apisvc.testing import case
from tests.unit.auth.keystone import scripted

MANAGER, MEMBER, READER = identity.Role.MANAGER, identity.Role.MEMBER, identity.Role.READER


class KeystoneCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.keystone = self.useFixture(scripted.Keystone())

    def ask(self, driver, text, **more):
        headers = {"X-AUTH-TOKEN": text, **more}
        return driver.authenticate(headers, deadline=time.monotonic() + 10)

    def refusal(self, driver, text, **more):
        return self.assertRaises(errors.Unauthenticated, self.ask, driver, text, **more).detail


class TestWho(KeystoneCase):
    def test_a_token_acts_in_the_tenant_with_its_projects_id_and_nowhere_else(self):
        text, project = self.keystone.token("member", "reader")
        found = self.ask(self.keystone.driver(), text)
        tenant = str(uuid.UUID(project))
        self.assertEqual(
            identity.Identity(
                user_id="keystone:id-of-ann",
                user_name="ann",
                scope_tenant_id=tenant,
                roles={tenant: MEMBER},
                source="keystone",
            ),
            found,
        )

    def test_of_several_roles_the_highest_counts(self):
        driver = self.keystone.driver()
        for roles, wanted in (
            (("reader", "manager", "member"), MANAGER),
            (("admin", "member"), MANAGER),
            (("reader",), READER),
            (("swiftoperator",), None),
            ((), None),
        ):
            text, project = self.keystone.token(*roles)
            found = self.ask(driver, text)
            self.assertEqual(wanted, found.roles.get(str(uuid.UUID(project))), roles)
            self.assertFalse(found.admin)

    def test_the_roles_are_the_deployers(self):
        driver = self.keystone.driver(roles={"creator": "member"})
        text, project = self.keystone.token("creator", "manager")
        self.assertEqual({str(uuid.UUID(project)): MEMBER}, self.ask(driver, text).roles)

    def test_the_admin_of_a_project_is_no_admin_of_the_system(self):
        text, project = self.keystone.token("admin")
        self.assertFalse(self.ask(self.keystone.driver(), text).admin)
        named = self.ask(self.keystone.driver(admin_projects=[project]), text)
        self.assertTrue(named.admin)
        self.assertIsNone(named.scope_tenant_id)
        member = self.keystone.token("member")[0]
        self.assertFalse(self.ask(self.keystone.driver(admin_projects=[project]), member).admin)

    def test_an_admin_of_the_whole_system_is_one(self):
        driver = self.keystone.driver()
        text, _ = self.keystone.token("admin", system=True)
        found = self.ask(driver, text)
        self.assertTrue(found.admin)
        self.assertEqual({}, found.roles)
        reader, _ = self.keystone.token("reader", system=True)
        self.assertIn("not for a project", self.refusal(driver, reader))

    def test_a_token_without_a_project_says_what_it_lacks(self):
        driver = self.keystone.driver()
        for scope in ({"project": None}, {"domain": "Default"}):
            text, _ = self.keystone.token("member", **scope)
            self.assertIn("not for a project", self.refusal(driver, text))

    def test_no_two_projects_are_one_tenant(self):
        driver = self.keystone.driver()
        text, project = self.keystone.token("member")
        for odd in (
            str(uuid.UUID(project)),
            project.upper(),
            f"{{{project}}}",
            f"urn:uuid:{project}",
            "default",
        ):
            self.keystone.tokens[text]["token"]["project"]["id"] = odd
            driver = self.keystone.driver()
            self.assertIn("not for a project", self.refusal(driver, text), odd)

    def test_a_tenant_is_asked_for_only_where_the_deployer_wants_it(self):
        text, project = self.keystone.token("member", project="Röntgen lab")
        self.assertIsNone(self.ask(self.keystone.driver(), text).project)
        found = self.ask(self.keystone.driver(create_tenants=True), text).project
        self.assertEqual(str(uuid.UUID(project)), found.tenant_id)
        self.assertEqual("Röntgen lab", found.name)
        self.assertIn("Röntgen lab", found.description)
        stranger, _ = self.keystone.token("swiftoperator")
        self.assertIsNone(self.ask(self.keystone.driver(create_tenants=True), stranger).project)

    def test_what_is_apisvcs_own_is_not_shown_to_keystone(self):
        self.assertIsNone(self.ask(self.keystone.driver(), "apisvc_" + "A" * 43))
        self.assertEqual([], self.keystone.asked)


class TestServices(KeystoneCase):
    def test_a_service_goes_on_with_a_token_that_has_expired(self):
        driver = self.keystone.driver()
        text, _ = self.keystone.token("member", lifetime=-60)
        self.refusal(driver, text)
        service, _ = self.keystone.token("service", user="heat")
        found = self.ask(driver, text, **{"X-SERVICE-TOKEN": service})
        self.assertEqual("ann", found.user_name)
        # What a service may is no answer for those who are none.
        self.refusal(driver, text)

    def test_only_a_services_token_does_that(self):
        driver = self.keystone.driver()
        text, _ = self.keystone.token("member")
        member, _ = self.keystone.token("member")
        self.assertIn(
            "role of a service (service)", self.refusal(driver, text, **{"X-SERVICE-TOKEN": member})
        )
        for bad in ("", "x", "gAAAAA-of-nobody-at-all", self.keystone.token("service", lifetime=-1)[0]):
            said = self.refusal(driver, text, **{"X-SERVICE-TOKEN": bad})
            self.assertEqual("The X-Service-Token is not good.", said)


class TestOptions(KeystoneCase):
    def test_what_cannot_be_right_stops_the_start(self):
        for options, said in (
            ({"auth_url": None}, "auth_url is not set"),
            ({"password": None}, "password is not set"),
            ({"username": None}, "username is not set"),
            ({"application_credential_id": "x"}, "application_credential_secret is not set"),
            ({"keyfile": "/key"}, "certfile is not"),
            ({"roles": {"admin": "owner"}}, "'owner' for 'admin' is no role; valid: manager, member, reader"),
        ):
            error = self.assertRaises(ValueError, self.keystone.driver, **options)
            self.assertIn(said, str(error))

    def test_an_application_credential_logs_in_too(self):
        driver = self.keystone.driver(
            username=None,
            password=None,
            application_credential_id="x",
            application_credential_secret=scripted.PASSWORD,
        )
        self.assertTrue(self.ask(driver, self.keystone.token("member")[0]).roles)

    def test_each_option_is_secret_or_told(self):
        options = {option.name: option for option in type(self.keystone.driver()).options()}
        secret = {name for name, option in options.items() if option.secret}
        self.assertEqual({"password", "application_credential_secret"}, secret)
        self.assertTrue(case.group)
