import json

import openapi_spec_validator

from apisvc.web import binding, docs, openapi, problems
from tests.unit.web import harness


class OpenApi(harness.WebCase):
    def setUp(self):
        super().setUp()
        self.answer = self.call("GET", "/v1/openapi.json", None)
        self.document = self.answer.json

    def test_it_is_valid(self):
        openapi_spec_validator.validate(self.document)
        older = self.call("GET", "/docs/openapi.json", None).json
        self.assertEqual("3.0.3", older["openapi"])
        openapi_spec_validator.validate(older)

    def test_it_has_every_operation(self):
        ids = {op["operationId"] for path in self.document["paths"].values() for op in path.values()}
        self.assertLessEqual({op.id for op in harness.Things(None).operations()}, ids)
        self.assertLessEqual({"list_versions", "check_readiness", "show_metrics"}, ids)

    def test_an_operation_says_everything(self):
        create = self.document["paths"]["/v1/tenants/{tenant}/things"]["post"]
        self.assertEqual("things:create", create["x-apisvc-policy"])
        named = [one.get("name") or one["$ref"].rsplit("/", 1)[1] for one in create["parameters"]]
        self.assertEqual(["tenant", "OpenStack-API-Version", "Idempotency-Key"], named)
        self.assertIn("Location", create["responses"]["202"]["headers"])
        name = create["responses"]["409"]["$ref"].removeprefix("#/components/responses/")
        conflict = self.document["components"]["responses"][name]
        self.assertIn("apisvc.resource.exists", conflict["x-apisvc-codes"])
        self.assertLessEqual(
            {"400", "401", "403", "404", "413", "415", "422", "503"}, set(create["responses"])
        )
        listing = self.document["paths"]["/v1/tenants/{tenant}/things"]["get"]
        by_name = {one["name"]: one for one in listing["parameters"] if "name" in one}
        self.assertEqual("integer", by_name["limit"]["schema"]["type"])
        self.assertEqual("array", by_name["label"]["schema"]["type"])
        self.assertEqual([], self.document["paths"]["/healthcheck"]["get"]["security"])

    def test_it_is_cached_by_its_etag(self):
        again = self.call(
            "GET", "/v1/openapi.json", None, headers={"If-None-Match": self.answer.headers["etag"]}
        )
        self.assertEqual((304, ""), (again.status_code, again.text))

    def test_the_pages_need_no_other_host(self):
        for path in ("/docs", "/docs/start.js", "/docs/problems"):
            page = self.call("GET", path, None)
            self.assertEqual(200, page.status_code)
            self.assertNotIn("http", page.text)
            self.assertIn("default-src 'none'", page.headers["content-security-policy"])
        for name in docs.ASSETS:
            asset = self.call("GET", f"/docs/assets/{name}", None)
            self.assertGreater(len(asset.content), 100)
            self.assertIn(name.rsplit(".", 1)[1].replace("js", "javascript"), asset.headers["content-type"])
        self.problem(self.call("GET", "/docs/assets/index.html", None), 404)

    def test_every_code_is_explained_where_its_type_points(self):
        page = self.call("GET", "/docs/problems", None).text
        for kind in problems.catalogue():
            self.assertIn(f'id="{kind.code}"', page)
            self.assertTrue(kind.__doc__, kind.code)
        self.assertNotIn("``", page)

    def test_codes_are_told_apart(self):
        codes = [kind.code for kind in problems.catalogue()]
        self.assertEqual(sorted(set(codes)), sorted(codes))

    def test_possible_errors_are_the_ones_answered(self):
        things = harness.Things(None).operations()
        create = binding.check([("things", things)])[0]
        self.assertIn("apisvc.idempotency.mismatch", [kind.code for kind in openapi.possible(create)])


class WithoutDocs(harness.WebCase):
    options = {"docs": False}

    def test_there_are_no_pages(self):
        self.problem(self.call("GET", "/docs", None), 404)
        self.assertEqual("3.1.0", json.loads(self.call("GET", "/v1/openapi.json", None).text)["openapi"])
