"""What must hold of every operation, read from the table that serves them."""

import re

import msgspec

from apisvc import policies
from apisvc.routes.v1 import admin, tenant, user
from tests.unit.routes import accounts

#: Writes that take no If-Match: there is nothing to replace, or, of a token, no version that matters.
UNCONDITIONAL = {"admin_delete_token", "own_delete_token", "delete_credential"}
#: What they answer is to be kept nowhere, so they do not answer a repeat alike.
NOT_KEPT = {
    "exec_in_instance": {"command": ["true"]},
    "open_instance_console": None,
    "create_credential": {},
}


class OperationsTest(accounts.RoutesCase):
    def setUp(self):
        super().setUp()
        packages = [package.Routes(self.services) for package in (admin, tenant, user)]
        self.operations = [op for package in packages for op in package.operations()]
        self.rules = [rule for package in packages for rule in package.policies()]

    def test_each_rule_names_exactly_the_operations_that_ask_for_it(self):
        documented = {
            (rule.name, place["method"], place["path"]) for rule in self.rules for place in rule.operations
        }
        self.assertEqual({(op.policy, op.method, op.path) for op in self.operations}, documented)

    def test_the_rules_of_the_packages_are_those_of_the_sample_file(self):
        listed = [rule.name for rule in policies.list_rules() if hasattr(rule, "operations")]
        self.assertEqual(sorted(rule.name for rule in self.rules), sorted(listed))
        self.assertEqual(len(set(listed)), len(listed))

    def test_rules_are_named_by_resource_and_verb(self):
        for rule in self.rules:
            self.assertRegex(rule.name, r"^((admin|user):)?[a-z-]+:[a-z-]+$")

    def test_bodies_and_queries_can_be_read_and_know_their_fields(self):
        for op in self.operations:
            for shape in (op.body, op.query):
                if shape is not None:
                    msgspec.json.Decoder(shape)
                    self.assertTrue(shape.__struct_config__.forbid_unknown_fields, op.id)

    def test_ids_are_of_one_form(self):
        for op in self.operations:
            self.assertRegex(op.id, r"^[a-z]+(_[a-z]+)+$")
            self.assertEqual(op.path.startswith("/v1/admin/"), op.id.startswith("admin_"), op.id)
            self.assertTrue(op.summary and op.tag, op.id)

    def test_what_replaces_or_removes_takes_a_condition(self):
        for op in self.operations:
            if op.method in ("PUT", "PATCH", "DELETE") and op.id not in UNCONDITIONAL:
                self.assertTrue(op.conditional, op.id)

    def test_what_creates_answers_a_repeat_alike(self):
        for op in self.operations:
            if op.method == "POST" and op.id not in NOT_KEPT:
                self.assertIsNotNone(op.render, op.id)

    def test_what_is_kept_nowhere_refuses_the_key_for_it(self):
        for op in self.operations:
            if op.id in NOT_KEPT:
                self.assertIsNone(op.render, op.id)
                self.refused(
                    400,
                    "POST",
                    self.place(op, tenant="blue"),
                    by="mia",
                    body=NOT_KEPT[op.id],
                    Idempotency_Key="k",
                    pointer="header:Idempotency-Key",
                )

    def place(self, op, **names):
        """A path of the operation, with something in place of each ``{name}``."""
        return re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], "x"), op.path).removeprefix("/v1")

    def test_each_is_closed_without_a_token(self):
        for op in self.operations:
            self.refused(401, op.method, self.place(op, tenant="blue"), by=None, code="apisvc.auth.required")

    def test_each_of_the_admins_is_closed_to_a_manager(self):
        for op in self.operations:
            if op.path.startswith("/v1/admin/"):
                place = self.place(op, tenant="blue", user="mia")
                self.refused(403, op.method, place, by="mia", code="apisvc.policy.denied")

    def test_each_in_a_tenant_is_as_if_not_there_to_others(self):
        for op in self.operations:
            if op.in_tenant:
                told = []
                for name in ("blue", "tan"):
                    problem = self.refused(404, op.method, self.place(op, tenant=name), by="rob")
                    told.append(problem["detail"].replace(name, "x"))
                self.assertEqual(told[0], told[1], op.id)

    def test_each_write_in_a_tenant_is_closed_to_readers(self):
        for op in self.operations:
            if op.in_tenant and op.method != "GET":
                self.refused(403, op.method, self.place(op, tenant="blue"), by="ria")
