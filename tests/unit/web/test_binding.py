import dataclasses

import testtools

from apisvc import errors
from apisvc.web import binding, operation
from tests.unit.web import harness


def _operation(**kw):
    fields = {
        "id": "show_x",
        "method": "GET",
        "path": "/v1/x",
        "summary": "X",
        "tag": "x",
        "handler": lambda call: operation.Answer(),
        "policy": None,
    }
    return operation.Operation(**{**fields, **kw})


class Checking(testtools.TestCase):
    def refused(self, *words, **packages):
        error = self.assertRaises(errors.StartError, binding.check, list(packages.items()))
        for word in words:
            self.assertIn(word, error.detail)

    def test_clashes_name_both_packages(self):
        self.refused("one", "two", "show_x", one=[_operation()], two=[_operation(path="/v1/y")])
        self.refused("one", "two", "GET /v1/x", one=[_operation()], two=[_operation(id="other")])

    def test_malformed_operations_name_their_package(self):
        self.refused("one", "show_x", "'get'", one=[_operation(method="get")])
        self.refused("one", "must begin", one=[_operation(path="v1/x")])
        self.refused("one", "must begin", one=[_operation(path="/v1/x/")])
        self.refused("one", "policy", one=[_operation(path="/v1/tenants/{tenant}/x")])
        self.refused("one", "no body", one=[_operation(body=harness.ThingCreate)])

    def test_what_fits_is_taken_in_order(self):
        one, two = _operation(), _operation(id="make_x", method="POST")
        self.assertEqual([one, two], binding.check([("one", [one]), ("two", [two])]))


class ThirdParty(operation.Routes):
    contract = operation.CONTRACT

    def operations(self):
        return [
            _operation(id="say_hello", path="/v1/hello/{name}", handler=self._hello, answer=harness.Thing)
        ]

    def _hello(self, call):
        return operation.Answer(harness.Thing(id=call.path["name"], name="hello", revision=1))


class Unclear(operation.Routes):
    contract = operation.CONTRACT

    def operations(self):
        return [_operation(path="/v1/hello/{somebody}")]


class Unruly(operation.Routes):
    contract = operation.CONTRACT

    def operations(self):
        return [_operation(policy="hello:say")]


class Unmade(operation.Routes):
    contract = operation.CONTRACT

    def operations(self):
        return [operation.Operation(id="say_hello")]


class Starting(harness.WebCase):
    packages = (harness.Things, ThirdParty)

    def test_a_third_party_has_the_same_rights(self):
        answer = self.call("GET", "/v1/hello/world", None)
        self.assertEqual({"id": "world", "name": "hello", "revision": 1}, answer.json)
        self.assertIn("/v1/hello/{name}", self.call("GET", "/v1/openapi.json", None).json["paths"])

    def fails(self, *packages):
        self.packages = packages
        return self.assertRaises(errors.StartError, self.make_app).detail

    def test_paths_that_cannot_be_told_apart_stop_the_start(self):
        self.assertIn("/v1/hello/{somebody}", self.fails(ThirdParty, Unclear))

    def test_a_policy_without_a_rule_stops_the_start(self):
        self.assertIn("hello:say", self.fails(Unruly))

    def test_a_package_that_fails_stops_the_start(self):
        self.assertIn("test_binding:Unmade: its operations() fails: TypeError: ", self.fails(Unmade))

    def test_the_same_package_twice_stops_the_start(self):
        self.assertIn("create_thing", self.fails(harness.Things, harness.Things, ThirdParty))

    def test_an_operation_is_immutable(self):
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, _operation(), "policy", "x")
