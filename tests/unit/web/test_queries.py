from tests.unit.web import harness

THINGS = f"/v1/tenants/{harness.TENANT}/things"


class Queries(harness.WebCase):
    def ask(self, query_string):
        return self.call("GET", THINGS, query_string=query_string)

    def test_good_ones(self):
        for good in ("", "limit=5", "label=a&label=b%3Dc", "deep=true", "deep=false&limit=1", "&limit=1&"):
            self.assertEqual(200, self.ask(good).status_code, good)

    def test_bad_ones_say_which_parameter(self):
        cases = {
            "limit=x": "query:limit",
            "limit=": "query:limit",
            "limit=0": "query:limit",
            "limit=-1": "query:limit",
            "limit=1" + "0" * 400: "query:limit",
            "limit=1.5": "query:limit",
            "limit=null": "query:limit",
            "deep=NULL": "query:deep",
            "limit=1&limit=2": "query:limit",
            "marker=garbage": "query:marker",
            "marker=..%2F..": "query:marker",
            "marker=%00": "query:marker",
            "deep=maybe": "query:deep",
            "label=": "query:label",
            "other=1": "query:other",
            "Limit=1": "query:Limit",
            "limit=%zz": "query:limit",
            "limit=%": "query:limit",
            "marker=%ff": "query:marker",
            "marker=%ed%a0%80": "query:marker",
            "%ff=1": "query:\ufffd",
            "%zz=1": "query:%zz",
            "=1": "query:",
            "label=" + "x" * 400: "query:label",
        }
        for query_string, pointer in cases.items():
            self.problem(self.ask(query_string), 400, "apisvc.request.invalid", pointer)

    def test_operations_without_parameters_take_none(self):
        found = self.problem(self.call("GET", f"{THINGS}/one", query_string="x=1"), 400, pointer="query:x")
        self.assertIn("there are none here", found["detail"])

    def test_the_error_names_what_is_known(self):
        self.assertIn("known are deep, label, limit, marker", self.problem(self.ask("x=1"), 400)["detail"])
