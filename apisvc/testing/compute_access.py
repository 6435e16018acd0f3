"""The scenarios of getting in: programs within an instance, credentials, machines kept free.

Part of :class:`apisvc.testing.compute.ComputeSuite`.
"""

import functools
import time
import uuid
from typing import Any

from apisvc.compute import base
from apisvc.testing import compute_capabilities, compute_case

Phase = base.Phase

_SHELL = ("/bin/sh", "-c")
#: Seconds of a credential: the least that every backend grants.
HOUR = 3600


class ExecScenarios(compute_case.ComputeCase):
    """What runs must have a shell, ``/bin/sh``, with ``cat``, ``sleep`` and ``stty``."""

    def _exec(self, workload: base.Workload, *command: str, **request: Any) -> base.Terminal:
        wanted = base.ExecRequest(command=command, **request)
        terminal: base.Terminal = self.require("exec").exec(
            workload.id, self.tenant.id, wanted, deadline=self.soon()
        )
        self.addCleanup(terminal.close)
        return terminal

    def _rest(self, terminal: base.Terminal) -> dict[int, bytes]:
        """What it writes until its end."""
        heard, end = {1: b"", 2: b""}, self.soon()
        while (piece := terminal.read(1.0)) is not None:
            heard[piece[0]] += piece[1]
            self.assertLess(time.monotonic(), end, f"it does not end; so far: {heard}")
        return heard

    def test_exec_tells_output_errors_and_exit_code(self) -> None:
        self.require("exec")
        workload = self.run_one()
        for code in (0, 3):
            terminal = self._exec(workload, *_SHELL, f"echo out; echo err >&2; exit {code}")
            self.assertEqual({1: b"out\n", 2: b"err\n"}, self._rest(terminal))
            self.assertIn(terminal.exit_code, (code, None))

    def test_exec_takes_input_until_there_is_no_more(self) -> None:
        self.require("exec")
        terminal = self._exec(self.run_one(), "cat", stdin=True)
        self.assertEqual((1, b""), terminal.read(0.2), "nothing was written yet")
        given = b"\xff\x00\xc3" + bytes(range(256)) * 100
        heard = b""
        for part in (given, b"one\n", b"two\n"):
            terminal.write(part)
            heard += self._until_heard(terminal, len(part))
        self.assertEqual(given + b"one\ntwo\n", heard)
        terminal.write(b"")
        self.assertEqual({1: b"", 2: b""}, self._rest(terminal))

    def _until_heard(self, terminal: base.Terminal, size: int) -> bytes:
        heard, end = b"", self.soon()
        while len(heard) < size:
            piece = terminal.read(1.0)
            self.assertIsNotNone(piece, f"it ended after {heard!r}")
            heard += piece[1] if piece else b""
            self.assertLess(time.monotonic(), end, f"it answers no more than {heard!r}")
        return heard

    def test_exec_on_a_terminal_of_a_size(self) -> None:
        self.require("exec")
        workload = self.run_one()

        def told() -> bool:
            # Whether the size is there before the program asks is a race, which a slow machine may lose.
            terminal = self._exec(workload, *_SHELL, "sleep 1; stty size", tty=True)
            terminal.resize(97, 31)
            return b"31 97" in self._rest(terminal)[1]

        self.until(told, "its terminal has the size")

    def test_exec_of_no_such_program(self) -> None:
        self.require("exec")
        workload = self.run_one()
        with self.assertRaises(base.NotFound):
            # Where it takes time to find out, the first read tells.
            self._rest(self._exec(workload, "/no/such/program"))

    def test_exec_can_be_left(self) -> None:
        self.require("exec")
        workload = self.run_one()
        for _ in range(3):
            self._exec(workload, *_SHELL, "sleep 1000").close()
        self.assertEqual(b"still\n", self._rest(self._exec(workload, *_SHELL, "echo still"))[1])

    def test_exec_where_nothing_runs(self) -> None:
        driver = self.require("exec")
        request = base.ExecRequest(command=("/bin/true",))
        call = functools.partial(driver.exec, compute_capabilities.MISSING, self.tenant.id, request)
        with self.assertRaises(base.NotFound):
            call(deadline=self.soon())
        with self.assertRaises(base.Timeout):
            call(deadline=time.monotonic() - 1)
        workload = self.ended(0)
        self.ensure(workload)
        self.until_phase(workload.id, Phase.EXITED)
        with self.assertRaises(base.InvalidSpec):
            driver.exec(workload.id, self.tenant.id, request, deadline=self.soon())


class CredentialsScenarios(compute_case.ComputeCase):
    def _issue(self, role: str = "member", **fields: Any) -> base.Credential:
        wanted = {"id": str(uuid.uuid4()), "tenant": self.tenant, "role": role, "seconds": HOUR, **fields}
        made: base.Credential = self.require("credentials").issue(
            base.CredentialRequest(**wanted), deadline=self.soon()
        )
        self.addCleanup(self._revoke, made.id)
        return made

    def _revoke(self, credential_id: str) -> None:
        self.driver.revoke(self.tenant.id, credential_id, deadline=self.soon())  # type: ignore[attr-defined]

    def _issued(self, tenant_id: str | None = None) -> dict[str, base.Credential]:
        found = self.require("credentials").issued(tenant_id or self.tenant.id, deadline=self.soon())
        return {one.id: one for one in found}

    def test_credentials_are_told_once_and_end(self) -> None:
        self.require("credentials")
        for role in ("reader", "member", "manager"):
            made = self._issue(role)
            self.assertTrue(made.kind)
            self.assertTrue(made.content)
            self.assertNotIn(made.content, repr(made))
            self.assertAlmostEqual(time.time() + HOUR, made.expires_at, delta=HOUR / 2)
            listed = self._issued()[made.id]
            self.assertEqual("", listed.content)
            self.assertEqual(made.kind, listed.kind)
            self.assertAlmostEqual(made.expires_at, listed.expires_at, delta=2)

    def test_credentials_differ_and_are_revoked_one_by_one(self) -> None:
        driver = self.require("credentials")
        one, two = self._issue(), self._issue()
        self.assertNotEqual(one.content, two.content)
        for _ in range(2):
            driver.revoke(self.tenant.id, one.id, deadline=self.soon())
            self.assertEqual({two.id}, set(self._issued()))

    def test_credentials_are_the_tenants_own(self) -> None:
        driver = self.require("credentials")
        made = self._issue()
        other = str(uuid.uuid4())
        self.assertEqual({}, self._issued(other))
        driver.revoke(other, made.id, deadline=self.soon())
        self.assertEqual({made.id}, set(self._issued()))

    def test_credentials_past_the_deadline(self) -> None:
        driver, past = self.require("credentials"), time.monotonic() - 1
        request = base.CredentialRequest(str(uuid.uuid4()), self.tenant, "member", HOUR)
        for call in (
            functools.partial(driver.issue, request),
            functools.partial(driver.issued, self.tenant.id),
            functools.partial(driver.revoke, self.tenant.id, request.id),
        ):
            self.assertRaises(base.Timeout, call, deadline=past)


class CordonScenarios(compute_case.ComputeCase):
    def test_cordon_keeps_new_instances_away_and_what_runs_goes_on(self) -> None:
        driver, workload = self.require("cordon"), self.run_one()
        nodes = [node.name for node in driver.nodes(deadline=self.soon()) if node.schedulable]
        self.assertTrue(nodes)
        for name in nodes:
            self.addCleanup(driver.cordon, name, True, deadline=self.soon() + 600)
            for _ in range(2):
                self.assertFalse(driver.cordon(name, False, deadline=self.soon()).schedulable)
        listed = {node.name: node.schedulable for node in driver.nodes(deadline=self.soon())}
        self.assertEqual({False}, {listed[name] for name in nodes})
        self.until_phase(workload.id, Phase.RUNNING)
        for name in nodes:
            for _ in range(2):
                self.assertTrue(driver.cordon(name, True, deadline=self.soon()).schedulable)
        self.run_one()

    def test_cordon_of_no_such_node(self) -> None:
        driver = self.require("cordon")
        for name in ("no-such-node-anywhere", "", "..", "a/b"):
            with self.assertRaises(base.NotFound):
                driver.cordon(name, False, deadline=self.soon())
        with self.assertRaises(base.Timeout):
            driver.cordon("no-such-node-anywhere", False, deadline=time.monotonic() - 1)
