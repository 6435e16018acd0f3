"""No secret of the cloud is in what apisvc writes and answers, whatever the cloud does."""

import json

import testtools

from tests.functional import deployment
from tests_openstack import cloud, proxy, site


class TestSecrets(testtools.TestCase):
    def test_no_secret_is_in_any_log_event_answer_or_error(self):
        admin = cloud.connect()
        between = self.useFixture(proxy.Proxy(admin.endpoint_for("compute")))
        place = self.useFixture(site.Site({"compute": between.url}))
        tenant = place.tenant("acme")
        made = place.create(tenant)
        place.converge(tenant, {made})
        answers = []
        # One that goes wrong, because Nova hangs.
        between.answering.clear()
        second = place.create(tenant)
        path = f"/v1/tenants/{tenant}/instances/{second}"

        def fault():
            answers.append(place.service.call("GET", path).text)
            return json.loads(answers[-1])["status"].get("fault")

        deployment.wait_for("the fault is told", fault, site.CONVERGED)
        between.answering.set()
        place.converge(tenant, {made, second})
        for what in ("instances", "events", "backends", "nodes"):
            answers.append(place.service.call("GET", f"/v1/admin/{what}").text)
        answers.append(place.service.call("GET", f"/v1/tenants/{tenant}/instances/{made}/logs").text)
        logs = [
            (place.service.folder / name).read_text(errors="replace") for name in ("api.log", "worker.log")
        ]
        secrets = {
            str(value) for name, value in admin.config.auth.items() if "password" in name or "secret" in name
        }
        self.assertTrue(secrets)
        for secret in (*secrets, admin.auth_token):
            for text in (*answers, *logs):
                self.assertNotIn(secret, text)
        # What is sent as a token is no more told than the password: Keystone's all begin so.
        for text in (*answers, *logs):
            self.assertNotIn("gAAAAA", text)
