import io
import json
import logging

import testtools
from oslo_log import formatters

from apisvc.web import logs, requestid
from tests.unit.web import harness

GLOBAL = "req-0198c5a2-0000-7000-8000-000000000009"


class Access(harness.WebCase):
    def test_a_line_for_each_request(self):
        answer = self.call("GET", f"/v1/tenants/{harness.TENANT}/things", query_string="limit=1")
        line = self.logs.output.strip().splitlines()[-1]
        for part in (
            f'"GET /v1/tenants/{harness.TENANT}/things" 200',
            "operation=list_things",
            f"user={harness.ANN}",
            f"tenant={harness.TENANT}",
            f"request_id={answer.headers['x-openstack-request-id']}",
        ):
            self.assertIn(part, line)

    def test_nothing_secret_and_nothing_forged_gets_in(self):
        self.call("GET", "/v1/x%0a2026-01-01 INFO forged", query_string="token=secret")
        (line,) = self.logs.output.strip().splitlines()
        self.assertNotIn("secret", line)
        self.assertNotIn("member", line)

    def test_records_bear_the_request_id(self):
        kept = io.StringIO()
        handler = logging.StreamHandler(kept)
        handler.addFilter(logs.RequestIds())
        handler.setFormatter(logging.Formatter("%(request_id)s %(global_request_id)s"))
        log = logging.getLogger("apisvc")
        log.addHandler(handler)
        self.addCleanup(log.removeHandler, handler)
        answer = self.call("GET", "/v1", headers={"X-OpenStack-Request-ID": GLOBAL})
        own = answer.headers["x-openstack-request-id"]
        self.assertEqual(f"{own} {GLOBAL}", kept.getvalue().strip())
        self.call("GET", "/v1", headers={"X-OpenStack-Request-ID": "req-\nforged"})
        self.assertRegex(kept.getvalue().splitlines()[-1], "^req-[0-9a-f-]{36} $")

    def test_in_json_they_are_fields(self):
        kept = io.StringIO()
        handler = logging.StreamHandler(kept)
        handler.addFilter(logs.RequestIds())
        handler.setFormatter(formatters.JSONFormatter())
        log = logging.getLogger("apisvc")
        log.addHandler(handler)
        self.addCleanup(log.removeHandler, handler)
        answer = self.call(
            "GET", f"/v1/tenants/{harness.TENANT}/things", headers={"X-OpenStack-Request-ID": GLOBAL}
        )
        token = requestid.current.set("req-here")
        self.addCleanup(requestid.current.reset, token)
        log.error("broken")
        access, other = (json.loads(line)["extra"] for line in kept.getvalue().splitlines())
        self.assertGreaterEqual(access.pop("milliseconds"), 0)
        expected = {
            "client": "127.0.0.1",
            "method": "GET",
            "path": f"/v1/tenants/{harness.TENANT}/things",
            "status": 200,
            "operation": "list_things",
            "user_id": harness.ANN,
            "tenant_id": harness.TENANT,
            "request_id": answer.headers["x-openstack-request-id"],
            "global_request_id": GLOBAL,
        }
        self.assertEqual(expected, access)
        self.assertEqual("req-here", other["request_id"])


class Quiet(harness.WebCase):
    options = {"access_log": False}

    def test_it_can_be_turned_off(self):
        self.call("GET", "/v1")
        self.assertEqual("", self.logs.output)


class Install(testtools.TestCase):
    def test_it_may_be_called_again(self):
        handler = logging.StreamHandler(io.StringIO())
        root = logging.getLogger()
        root.addHandler(handler)
        self.addCleanup(root.removeHandler, handler)
        logs.install()
        logs.install()
        self.assertEqual([logs.RequestIds], [type(one) for one in handler.filters])
        record = logging.makeLogRecord({})
        handler.filter(record)
        self.assertEqual(requestid.current.get() or "", record.request_id)
