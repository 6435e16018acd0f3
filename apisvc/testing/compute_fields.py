"""The scenarios of what only some drivers honour: fields of a workload, parts of the output.

Part of :class:`apisvc.testing.compute.ComputeSuite`.
"""

import dataclasses
import time
from typing import Any

from apisvc.compute import base
from apisvc.testing import compute_case

#: What any machine can be given. Of networks and their like only the backend's author knows names.
MACHINE = {
    "ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpG0wGJUHnPrG6QTVp1ARaR7SxvS7SQVL80BkXSq4s2 suite@example.org",
    "user_data": "#cloud-config\nfqdn: suite.example.org\n",
}


class FieldsScenarios(compute_case.ComputeCase):
    def test_fields_that_it_accepts_are_of_the_contract(self) -> None:
        accepts = type(self.driver).accepts
        self.assertEqual(frozenset(), accepts - base.OPTIONAL_FIELDS)
        self.assertLessEqual(
            base.OPTIONAL_FIELDS, {field.name for field in dataclasses.fields(base.Workload)}
        )

    def test_fields_of_a_machine_that_it_accepts_run(self) -> None:
        given = {name: value for name, value in MACHINE.items() if name in self.driver.accepts}
        if not given:
            self.skipTest("the driver accepts no field of machines")
        self.run_one(**given)

    def test_fields_with_their_defaults_are_as_if_not_there(self) -> None:
        fields = {field.name: field for field in dataclasses.fields(base.Workload)}
        bare: dict[str, Any] = {}
        for name in sorted(base.OPTIONAL_FIELDS - self.driver.accepts):
            default = fields[name].default
            bare[name] = {} if default is dataclasses.MISSING else default
        self.run_one(**bare)


class PartsOfLogsScenarios(compute_case.ComputeCase):
    def lines(self, workload: base.Workload, **asked: Any) -> list[str] | None:
        """What it printed; None where the driver does not know when, or in which run."""
        driver = self.require("logs")
        request = base.LogRequest(**asked)
        try:
            chunks = driver.logs(workload.id, workload.tenant.id, request, deadline=self.soon())
            return b"".join(chunks).decode().splitlines()
        except base.InvalidSpec:
            self.assertTrue(asked.keys() & {"since", "previous"}, "it refuses plain logs")
            return None

    def test_logs_since_a_moment(self) -> None:
        self.require("logs")
        workload, printed = self.run_one(), list(self.prints)
        self.until(lambda: self.lines(workload) == printed, "all is printed")
        self.assertIn(self.lines(workload, since=time.time() - 86400), (printed, None))
        self.assertIn(self.lines(workload, since=time.time() + 86400), ([], None))

    def test_logs_of_a_run_that_was_not(self) -> None:
        self.require("logs")
        workload = self.run_one()
        try:
            self.assertIsNone(self.lines(workload, previous=True))
        except base.NotFound:
            return
