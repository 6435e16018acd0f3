"""How Keystone is asked: seldom, together, and never for long."""

import concurrent.futures
import time

import fixtures

from apisvc import errors
from tests.functional import deployment
from tests.unit.auth.keystone import scripted, test_driver


class Clocks:
    """Those of a driver's checks, to be moved together."""

    def __init__(self, driver):
        self.moved = 0.0
        driver.checks._clock = lambda: time.monotonic() + self.moved
        driver.checks._wall_clock = lambda: time.time() + self.moved
        driver.checks._breaker._clock = driver.checks._clock


class TestMemory(test_driver.KeystoneCase):
    def test_it_is_asked_once_in_the_cache_time(self):
        driver = self.keystone.driver(cache_time=30)
        clocks = Clocks(driver)
        text, _ = self.keystone.token("member")
        for _ in range(3):
            self.ask(driver, text)
        self.assertEqual([text], self.keystone.asked)
        clocks.moved = 31
        self.ask(driver, text)
        self.assertEqual([text, text], self.keystone.asked)
        self.assertEqual(1, self.keystone.logins)

    def test_a_revoked_token_is_refused_after_that_at_the_latest(self):
        driver = self.keystone.driver(cache_time=30)
        clocks = Clocks(driver)
        text, _ = self.keystone.token("member")
        self.ask(driver, text)
        del self.keystone.tokens[text]
        self.ask(driver, text)
        clocks.moved = 31
        self.refusal(driver, text)

    def test_without_a_cache_time_it_is_refused_at_once(self):
        driver = self.keystone.driver(cache_time=0)
        text, _ = self.keystone.token("member")
        self.ask(driver, text)
        del self.keystone.tokens[text]
        self.refusal(driver, text)

    def test_one_that_expires_is_refused_then(self):
        driver = self.keystone.driver(cache_time=3600)
        clocks = Clocks(driver)
        text, _ = self.keystone.token("member", lifetime=60)
        self.ask(driver, text)
        clocks.moved = 61
        del self.keystone.tokens[text]
        self.refusal(driver, text)

    def test_one_that_is_not_good_is_remembered_too(self):
        driver = self.keystone.driver()
        for _ in range(3):
            self.refusal(driver, "gAAAAA-of-nobody-at-all")
        self.assertEqual(1, len(self.keystone.asked))

    def test_what_is_not_used_is_forgotten_first(self):
        driver = self.keystone.driver(cache_size=2)
        first, second, third = (self.keystone.token("member")[0] for _ in range(3))
        for text in (first, second, first, third, first, second):
            self.ask(driver, text)
        self.assertEqual([first, second, third, second], self.keystone.asked)

    def test_who_asks_the_same_at_once_shares_the_answer(self):
        driver = self.keystone.driver()
        text, _ = self.keystone.token("member")
        self.keystone.answering.clear()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = [pool.submit(self.ask, driver, text) for _ in range(8)]
            deployment.wait_for("all wait", lambda: len(driver.checks._asked) == 1)
            self.keystone.answering.set()
            self.assertEqual(1, len({f.result(10).user_id for f in found}))
        self.assertEqual([text], self.keystone.asked)

    def test_no_token_is_kept(self):
        driver = self.keystone.driver()
        text, _ = self.keystone.token("member")
        self.ask(driver, text)
        self.assertNotIn(text, repr(driver.checks._known))


class TestTrouble(test_driver.KeystoneCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())

    def unavailable(self, driver, text):
        error = self.assertRaises(errors.AuthUnavailable, self.ask, driver, text)
        self.assertEqual(503, error.status)
        self.assertNotIn(text, error.detail + self.log.output)
        self.assertNotIn(scripted.PASSWORD, error.detail + self.log.output)
        return error

    def test_one_that_is_down_is_no_refusal(self):
        driver = self.keystone.driver(auth_url="http://127.0.0.1:1")
        self.unavailable(driver, self.keystone.token("member")[0])
        self.assertIn("cannot be asked", self.log.output)

    def test_what_it_says_in_trouble_is_no_refusal(self):
        text, _ = self.keystone.token("member")
        for status in (401, 403, 429, 500, 503):
            self.keystone.status, self.keystone.headers = status, {"Retry-After": "7"}
            error = self.unavailable(self.keystone.driver(), text)
            self.assertEqual(7.0, error.retry_after)
            self.assertIn(f"it answered with {status}", self.log.output)

    def test_an_answer_that_makes_no_sense_is_no_refusal(self):
        text, _ = self.keystone.token("member")
        self.keystone.status = 200
        for self.keystone.body in ({"what": "ever"}, {"token": {}}, ["x"], {"token": {"user": None}}):
            self.unavailable(self.keystone.driver(), text)
        self.assertIn("no token of version 3", self.log.output)

    def test_a_login_that_is_refused_is_no_refusal(self):
        self.keystone.password = "another one"
        driver = self.keystone.driver()
        self.unavailable(driver, self.keystone.token("member")[0])
        self.assertIn("refuses the login of [keystone]", self.log.output)

    def test_its_own_login_is_renewed_when_it_ends(self):
        driver = self.keystone.driver()
        self.ask(driver, self.keystone.token("member")[0])
        self.keystone.good_logins.clear()
        self.ask(driver, self.keystone.token("member")[0])
        self.assertEqual(2, self.keystone.logins)

    def test_one_that_hangs_costs_only_the_timeout_and_then_nothing(self):
        driver = self.keystone.driver(timeout=10, failures=2, pause=60)
        known, _ = self.keystone.token("member")
        clocks = Clocks(driver)
        self.ask(driver, known)
        driver.checks._timeout = 0.2
        self.keystone.answering.clear()
        for _ in range(2):
            self.unavailable(driver, self.keystone.token("member")[0])
        asked = len(self.keystone.asked)
        error = self.unavailable(driver, self.keystone.token("member")[0])
        self.assertEqual(asked, len(self.keystone.asked), "it is left alone")
        self.assertGreater(error.retry_after, 30)
        # What is remembered goes on.
        self.assertEqual("ann", self.ask(driver, known).user_name)
        self.keystone.answering.set()
        driver.checks._timeout = 10.0
        clocks.moved = 61
        self.assertEqual("ann", self.ask(driver, self.keystone.token("member")[0]).user_name)
