import pathlib
import tempfile

import testtools
from falcon import testing

from apisvc import errors
from apisvc.web import guard, limits
from tests.unit.web import harness

THINGS = f"/v1/tenants/{harness.TENANT}/things"


class PolicyFile(harness.WebCase):
    def make_app(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        return super().make_app()

    def with_policy(self, text):
        file = pathlib.Path(self.folder.name) / "policy.yaml"
        file.write_text(text)
        self.conf.set_override("policy_file", str(file), group="oslo_policy")
        app = super().make_app()
        self.client = testing.TestClient(app)

    def test_a_file_overrides_the_defaults(self):
        self.assertEqual(200, self.call("GET", THINGS, "reader").status_code)
        self.with_policy('"things:list": "role:manager"\n')
        self.problem(self.call("GET", THINGS, "reader"), 403, "apisvc.policy.denied")
        self.assertEqual(200, self.call("GET", THINGS, "manager").status_code)
        self.assertEqual(200, self.call("GET", f"{THINGS}/x", "reader").status_code)

    def test_a_broken_file_stops_the_start(self):
        for text in ('"things:list": "role:manager', "- a\n- b\n", '"things:list": "rule:missing"\n'):
            self.assertRaises(errors.StartError, self.with_policy, text)


class Limited(harness.WebCase):
    options = {"rate_limit": 0.001, "rate_burst": 2}

    def test_a_tenant_that_asks_too_fast(self):
        for _ in range(2):
            self.assertEqual(200, self.call("GET", THINGS).status_code)
        answer = self.call("GET", THINGS)
        self.problem(answer, 429, "apisvc.request.rate_limited")
        self.assertTrue(900 < int(answer.headers["retry-after"]) <= 1000)
        self.assertEqual(200, self.call("GET", "/v1/tenants/foreign/things", "admin").status_code)


class Buckets(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.time = 0.0
        self.limiter = limits.Limiter(2.0, 3, now=lambda: self.time)

    def admitted(self, key="a"):
        try:
            self.limiter.admit(key)
        except errors.TooManyRequests as error:
            return error.retry_after
        return True

    def test_a_burst_then_the_rate(self):
        self.assertEqual([True, True, True, 0.5], [self.admitted() for _ in range(4)])
        self.assertTrue(self.admitted("b"))
        self.time = 0.5
        self.assertEqual([True, 0.5], [self.admitted() for _ in range(2)])
        self.time = 100.0
        self.assertEqual([True, True, True, 0.5], [self.admitted() for _ in range(4)])

    def test_full_buckets_are_forgotten(self):
        for number in range(limits._KEPT):
            self.admitted(str(number))
        self.time = 100.0
        self.admitted("one more")
        self.assertEqual({"one more"}, set(self.limiter._buckets))


class ManyHeaders(harness.WebCase):
    options = {"max_headers": 10}

    def test_too_many_headers(self):
        few = {f"X-{n}": "x" for n in range(5)}
        self.assertEqual(200, self.call("GET", THINGS, headers=few).status_code)
        self.problem(self.call("GET", THINGS, headers={f"X-{n}": "x" for n in range(50)}), 400)


class Cors(harness.WebCase):
    options = {"cors_origins": ["https://console.example.org"]}

    def test_only_the_origins_configured(self):
        answer = self.call("GET", THINGS, headers={"Origin": "https://console.example.org"})
        self.assertEqual("https://console.example.org", answer.headers["access-control-allow-origin"])
        self.assertIn("ETag", answer.headers["access-control-expose-headers"])
        self.assertIn("Idempotency-Replayed", answer.headers["access-control-expose-headers"])
        answer = self.call("GET", THINGS, headers={"Origin": "https://evil.example.org"})
        self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_a_cache_keeps_the_answers_to_each_apart(self):
        for sent in ({"Origin": "https://console.example.org"}, {"Origin": "https://evil.example.org"}, {}):
            self.assertIn("Origin", self.call("GET", THINGS, headers=sent).headers["vary"].split(", "))

    def test_a_preflight_needs_no_token(self):
        sent = {"Origin": "https://console.example.org", "Access-Control-Request-Method": "POST"}
        answer = self.call("OPTIONS", THINGS, None, headers=sent)
        self.assertIn("POST", answer.headers["access-control-allow-methods"])


class HeaderMap(testtools.TestCase):
    def test_it_reads_like_a_mapping_of_headers(self):
        headers = guard.Headers({"HTTP_X_AUTH_TOKEN": "t", "PATH_INFO": "/"})
        self.assertEqual({"X-AUTH-TOKEN": "t"}, dict(headers))
        self.assertEqual("t", headers["x-auth-token"])
        self.assertIsNone(headers.get("PATH-INFO"))
        self.assertEqual(1, len(headers))
