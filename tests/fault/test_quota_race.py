"""Two hundred creates at once against a quota of fifty, over several gunicorn workers on one SQLite file."""

import concurrent.futures

import testtools

from tests.functional import deployment


class QuotaRaceTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(deployment.Deployment())
        self.site.start_api(workers=3, threads=16)

    def test_exactly_the_quota_is_accepted(self) -> None:
        self.site.catalogue(quota={"instances": 50, "vcpus": -1, "ram_mb": -1, "disk_gb": -1})

        def create(number: int) -> "deployment.requests.Response":
            body = {"name": f"i-{number}", "image": "host", "flavor": "tiny"}
            return self.site.call("POST", "/v1/tenants/acme/instances", body)

        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(create, range(200)))

        accepted = [answer for answer in answers if answer.status_code == 202]
        refused = [answer for answer in answers if answer.status_code != 202]
        self.assertEqual(50, len(accepted), {a.status_code: a.text for a in refused if a.status_code != 403})
        for answer in refused:
            self.assertEqual(403, answer.status_code, answer.text)
            self.assertEqual("application/problem+json", answer.headers["Content-Type"].split(";")[0])
            problem = answer.json()
            self.assertEqual("apisvc.quota.exceeded", problem["code"])
            self.assertEqual(
                [{"resource": "instances", "limit": 50, "used": 50, "asked": 1, "free": 0}],
                problem["exceeded"],
            )
        self.assertEqual(50, len(self.site.instances()))
        usage = self.site.call("GET", "/v1/tenants/acme/usage").json()
        self.assertEqual(50, usage["used"]["instances"])
        self.assertEqual(50, usage["used"]["vcpus"])

    def test_the_same_idempotency_key_at_once_makes_one_instance(self) -> None:
        self.site.catalogue()

        def create(_: int) -> "deployment.requests.Response":
            body = {"image": "host", "flavor": "tiny"}
            return self.site.call("POST", "/v1/tenants/acme/instances", body, Idempotency_Key="only-one")

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(create, range(20)))
        self.assertEqual({202}, {answer.status_code for answer in answers})
        self.assertEqual(1, len({answer.content for answer in answers}))
        self.assertEqual(1, len({answer.headers["ETag"] for answer in answers}))
        self.assertEqual(19, sum(answer.headers.get("Idempotency-Replayed") == "true" for answer in answers))
        self.assertEqual(1, len(self.site.instances()))
