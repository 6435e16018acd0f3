import re

import openapi_spec_validator

from tests.unit.routes import accounts, instances_case


class Document(accounts.RoutesCase):
    """The OpenAPI document of all that is shipped."""

    def setUp(self):
        super().setUp()
        self.document = self.ok("GET", "/openapi.json", by=None)
        self.operations = [op for path in self.document["paths"].values() for op in path.values()]

    def test_it_is_valid(self):
        openapi_spec_validator.validate(self.document)
        page = self.client.simulate_get("/docs/openapi.json")
        openapi_spec_validator.validate(page.json)

    def test_every_operation_is_described(self):
        for op in self.operations:
            (success, *_) = [answer for status, answer in op["responses"].items() if status < "300"]
            empty = {"101", "204"} & op["responses"].keys()
            self.assertTrue("content" in success or empty, op["operationId"])
            self.assertTrue("x-apisvc-policy" in op or op["security"] == [], op["operationId"])
            problems = [status for status in op["responses"] if status >= "400"]
            self.assertLessEqual({"400", "500"}, set(problems), op["operationId"])

    def test_ids_are_unique(self):
        ids = [op["operationId"] for op in self.operations]
        self.assertEqual(sorted(set(ids)), sorted(ids))

    def test_no_two_shapes_share_a_name(self):
        # msgspec then names them by their modules, which is nobody's business.
        self.assertEqual([], [name for name in self.document["components"]["schemas"] if "." in name])

    def test_every_parameter_and_field_of_a_request_is_described(self):
        schemas = self.document["components"]["schemas"]
        bare = []
        for op in self.operations:
            for one in op["parameters"]:
                if "$ref" not in one and "description" not in one:
                    bare.append((op["operationId"], one["name"]))
        for name, schema in schemas.items():
            if "description" not in schema and "properties" in schema:
                bare.append(name)
        self.assertEqual([], bare)

    def test_what_is_under_way_says_where(self):
        for op in self.operations:
            if "202" in op["responses"]:
                self.assertIn("Location", op["responses"]["202"]["headers"], op["operationId"])

    def test_every_success_is_described(self):
        by_id = {op["operationId"]: op["responses"] for op in self.operations}
        self.assertEqual(by_id["put_member"]["200"], by_id["put_member"]["201"])
        self.assertIn("304", by_id["show_instance"])
        self.assertNotIn("304", by_id["list_instances"])


class Answers(instances_case.InstancesCase):
    def test_what_has_an_etag_is_what_is_said_to(self):
        document = self.ok("GET", "/openapi.json", by=None)
        web = self.post(name="web")
        self.run_it(web)
        token = self.ok("GET", "/user/tokens", by="mia")["tokens"][0]["id"]
        issued = self.ok("POST", "/tenants/blue/backends/east/credentials", 201, body={})
        names = dict(tenant="blue", instance="web", user="mia", token=token, credential=issued["id"])
        names.update(flavor="small", image="host", backend="east", node="fake-node")
        for path, operations in document["paths"].items():
            op = operations.get("get", {})
            if (
                path.startswith("/v1/")
                and "101" not in op.get("responses", ())
                and op.get("security") != []
                and "get" in operations
            ):
                place = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], path).removeprefix("/v1")
                by = "mia" if path.startswith("/v1/user") else "root"
                answer = self.call("GET", place, by=by)
                self.assertEqual(200, answer.status_code, place)
                said = "ETag" in op["responses"]["200"]["headers"]
                self.assertEqual(said, "etag" in answer.headers, place)
                self.assertEqual(said, "304" in op["responses"], place)
