from apisvc import errors
from tests.unit.web import harness

THINGS = f"/v1/tenants/{harness.TENANT}/things"


class Requests(harness.WebCase):
    def test_a_write_is_answered_with_what_was_made(self):
        answer = self.call("POST", THINGS, json={"name": "one"})
        self.assertEqual(202, answer.status_code, answer.text)
        self.assertEqual(f"{THINGS}/one", answer.headers["location"])
        revision = self.store.revision()
        self.assertEqual({"id": "one", "name": "one", "revision": revision}, answer.json)
        self.assertEqual(f'"{revision}"', answer.headers["etag"])
        self.assertEqual("application/json", answer.headers["content-type"])

    def test_tenants_go_by_name_too(self):
        self.assertEqual(200, self.call("GET", "/v1/tenants/own/things").status_code)

    def test_who_may_what(self):
        expected = {
            (None, "GET", THINGS): 401,
            ("garbage", "GET", THINGS): 401,
            ("down", "GET", THINGS): 503,
            ("nobody", "GET", THINGS): 404,
            ("reader", "GET", THINGS): 200,
            ("reader", "POST", THINGS): 403,
            ("member", "GET", f"/v1/tenants/{harness.FOREIGN}/things"): 404,
            ("member", "GET", "/v1/tenants/foreign/things"): 404,
            ("member", "GET", "/v1/tenants/missing/things"): 404,
            ("admin", "GET", "/v1/tenants/foreign/things"): 200,
            ("scoped-admin", "GET", THINGS): 200,
            ("scoped-admin", "GET", "/v1/tenants/foreign/things"): 404,
            ("member", "POST", "/v1/admin/fail"): 403,
            ("scoped-admin", "POST", "/v1/admin/fail"): 403,
            ("admin", "POST", "/v1/admin/fail"): 500,
        }
        found = {
            (token, method, path): self.call(method, path, token).status_code
            for token, method, path in expected
        }
        self.assertEqual(expected, found)

    def test_a_foreign_tenant_reads_like_a_missing_one(self):
        foreign = self.problem(self.call("GET", "/v1/tenants/foreign/things"), 404)
        missing = self.problem(self.call("GET", "/v1/tenants/missing/things"), 404)
        self.assertEqual(foreign["detail"].replace("foreign", "missing"), missing["detail"])

    def test_a_bearer_token_is_as_good(self):
        answer = self.call("GET", THINGS, token=None, headers={"Authorization": "Bearer reader"})
        self.assertEqual(200, answer.status_code)

    def test_401_says_how_to_authenticate(self):
        answer = self.call("GET", THINGS, token=None)
        self.problem(answer, 401, "apisvc.auth.required")
        self.assertEqual('Bearer realm="apisvc"', answer.headers["www-authenticate"])

    def test_the_inside_of_an_error_stays_inside(self):
        answer = self.call("POST", "/v1/admin/fail", "admin")
        found = self.problem(answer, 500, "apisvc.internal")
        self.assertNotIn("secret", answer.text)
        self.assertIn("secret inner workings", self.logs.output)
        self.assertIn(found["request_id"], self.logs.output)

    def test_unknown_paths_and_methods(self):
        self.problem(self.call("GET", "/v1/nothing"), 404)
        answer = self.call("PUT", THINGS)
        self.problem(answer, 405, "apisvc.request.method_not_allowed")
        self.assertEqual({"GET", "HEAD", "POST", "OPTIONS"}, set(answer.headers["allow"].split(", ")))
        answer = self.call("OPTIONS", THINGS)
        self.assertEqual((200, ""), (answer.status_code, answer.text))
        self.assertIn("POST", answer.headers["allow"])

    def test_head_is_a_get_without_body(self):
        head, get = self.call("HEAD", THINGS), self.call("GET", THINGS)
        self.assertEqual((200, ""), (head.status_code, head.text))
        self.assertEqual(get.headers["content-length"], head.headers["content-length"])

    def test_ids_that_cannot_be(self):
        for bad in ("..", "%2e%2e%2f", "a%00b", "a%20b", "x" * 254, "%ff%fe", "%0d%0aX-Evil: 1", "-"):
            self.problem(self.call("GET", f"{THINGS}/{bad}"), 404)
            self.problem(self.call("GET", f"/v1/tenants/{bad}/things"), 404)

    def test_pages(self):
        first = self.call("GET", THINGS, query_string="limit=2&label=a%3Db")
        self.assertEqual(2, len(first.json["things"]))
        following = first.json["next"]
        self.assertEqual(f"{THINGS}?limit=2&label=a%3Db&marker={harness.TENANT}", following)
        self.assertEqual(f'<{following}>; rel="next"', first.headers["link"])
        last = self.call("GET", following)
        self.assertIsNone(last.json["next"])
        self.assertNotIn("link", last.headers)

    def test_a_page_is_bounded(self):
        self.problem(self.call("GET", THINGS, query_string="limit=1001"), 400, pointer="query:limit")
        self.assertEqual(200, self.call("GET", THINGS, query_string="limit=1000").status_code)

    def test_no_answer_is_sniffed_or_kept_by_others(self):
        for path in ("/v1/nonesuch", "/", "/v1/tenants/blue"):
            headers = self.call("GET", path).headers
            self.assertEqual("nosniff", headers["X-Content-Type-Options"])
            self.assertIn(headers["Cache-Control"], ("no-store", "private, no-cache"), path)
            self.assertIn("OpenStack-API-Version", headers["Vary"])

    def test_request_ids(self):
        answer = self.call("GET", "/v1/nothing")
        self.assertRegex(answer.headers["x-openstack-request-id"], "^req-[0-9a-f-]{36}$")
        other = self.call("GET", "/v1/nothing")
        self.assertNotEqual(answer.headers["x-openstack-request-id"], other.headers["x-openstack-request-id"])

    def test_versions(self):
        for sent in (
            {},
            {"OpenStack-API-Version": "apisvc latest"},
            {"OpenStack-API-Version": "compute 9.9"},
        ):
            answer = self.call("GET", THINGS, headers=sent)
            self.assertEqual("apisvc 1.0", answer.headers["openstack-api-version"])
            self.assertIn("OpenStack-API-Version", answer.headers["vary"])
        answer = self.call("GET", THINGS, headers={"OpenStack-API-Version": "apisvc 1.99"})
        self.assertEqual("1.0", self.problem(answer, 406, "apisvc.request.not_acceptable")["max_version"])
        answer = self.call("GET", THINGS, headers={"OpenStack-API-Version": "apisvc banana"})
        self.problem(answer, 400, pointer="header:OpenStack-API-Version")


class BuiltIn(harness.WebCase):
    def test_versions(self):
        self.assertEqual("1.0", self.call("GET", "/", None).json["versions"][0]["version"])
        self.assertEqual("v1", self.call("GET", "/v1", None).json["id"])
        self.assertEqual("v1", self.call("GET", "/v1/", None).json["id"])

    def test_health(self):
        self.assertEqual({"status": "ok"}, self.call("GET", "/healthcheck", None).json)
        self.assertEqual("ok", self.call("GET", "/readyz", None).json["store"])

    def test_an_unreachable_store_is_not_ready_but_alive(self):
        def unreachable(**_):
            raise errors.StoreUnavailable("The disk is gone.")

        self.store.ping = unreachable
        answer = self.call("GET", "/readyz", None)
        self.problem(answer, 503, "apisvc.store.unavailable")
        self.assertNotIn("disk", answer.text, "where the store is and what it lacks is not for every caller")
        self.assertIn("The disk is gone.", self.logs.output)
        self.assertEqual("1", answer.headers["retry-after"])
        self.assertEqual(200, self.call("GET", "/healthcheck", None).status_code)
        text = self.call("GET", "/metrics", None).text
        self.assertIn('apisvc_store_errors_total{code="apisvc.store.unavailable"} 1.0', text)

    def test_metrics_count_by_operation(self):
        self.call("GET", THINGS)
        self.call("GET", "/nowhere")
        text = self.call("GET", "/metrics", None).text
        self.assertIn('apisvc_request_seconds_count{operation="list_things",status="200"} 1.0', text)
        self.assertIn('apisvc_request_seconds_count{operation="none",status="404"} 1.0', text)
        self.assertNotIn(harness.TENANT, text)
        self.assertIn("process_open_fds ", text, "what the process itself takes")
