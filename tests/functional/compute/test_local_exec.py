"""Commands inside instances of the local driver: real processes, terminals, signals."""

import os
import threading
import time

from apisvc.compute import base
from apisvc.testing import backends
from tests.functional.compute import case


class ExecTest(case.LocalCase):
    def setUp(self):
        super().setUp()
        self.ensure(env={"GREETING": "hello"}, secret_env={"PASSWORD": "hunter2"})
        self.until_running()

    def open(self, *command, instance_id="i", **how):
        request = base.ExecRequest(command, **how)
        terminal = self.driver.exec(instance_id, "tenant-1", request, deadline=backends.soon())
        self.addCleanup(terminal.close)
        return terminal

    def drain(self, terminal, until=None):
        """What it writes, by stream, to its end or until ``until`` was said."""
        said = {1: b"", 2: b""}
        end = time.monotonic() + case.PATIENCE
        while (piece := terminal.read(0.2)) is not None:
            said[piece[0]] += piece[1]
            if until is not None and until in said[1] + said[2]:
                break
            self.assertLess(time.monotonic(), end, said)
        return said

    def run_it(self, *command, **how):
        terminal = self.open(*command, **how)
        said = self.drain(terminal)
        return said[1].decode(), said[2].decode(), terminal.exit_code

    def test_output_errors_and_exit_code(self):
        script = "echo out; echo err >&2; exit 3"
        self.assertEqual(("out\n", "err\n", 3), self.run_it("sh", "-c", script))
        self.assertEqual(("", "", 128 + 9), self.run_it("sh", "-c", "kill -9 $$"))
        out, _, code = self.run_it("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")
        self.assertEqual((3000000, 0), (len(out), code))

    def test_it_has_the_place_and_environment_of_the_instance(self):
        script = 'pwd; echo "$GREETING $PASSWORD $APISVC_INSTANCE_ID"; ulimit -d'
        out, err, _ = self.run_it("sh", "-c", script)
        self.assertEqual(["hello hunter2 i", str(256 << 10)], out.split("\n")[1:3], err)
        self.assertEqual(self.path("i", "work"), out.split("\n")[0])

    def test_input_and_its_end(self):
        terminal = self.open("wc", "-c", stdin=True)
        text = b"x" * 500_000
        feeder = threading.Thread(target=lambda: [terminal.write(text), terminal.write(b"")])
        feeder.start()
        said = self.drain(terminal)
        feeder.join(case.PATIENCE)
        self.assertEqual((b"500000", 0), (said[1].strip(), terminal.exit_code))

    def test_without_input_it_reads_nothing(self):
        self.assertEqual(("", "", 0), self.run_it("cat"))

    def test_a_terminal(self):
        terminal = self.open("sh", stdin=True, tty=True)
        terminal.resize(101, 37)
        terminal.write(b"tty; stty size; echo ready\n")
        said = self.drain(terminal, until=b"\nready")[1]
        self.assertIn(b"/dev/pts/", said)
        self.assertIn(b"37 101", said)
        terminal.write(b"exit 5\n")
        self.drain(terminal)
        self.assertEqual(5, terminal.exit_code)

    def test_ctrl_c_reaches_it(self):
        script = "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done"
        terminal = self.open("sh", "-c", script, stdin=True, tty=True)
        self.drain(terminal, until=b"ready")
        terminal.write(b"\x03")
        self.assertIn(b"caught", self.drain(terminal)[1])
        self.assertEqual(4, terminal.exit_code)

    def test_what_it_leaves_in_the_background_is_not_waited_for(self):
        began = time.monotonic()
        self.assertEqual("done\n", self.run_it("sh", "-c", "sleep 300 & echo done")[0])
        self.assertLess(time.monotonic() - began, 100)

    def test_what_is_not_there(self):
        for command in ("no-such-program", "./relative", ""):
            self.assertRaises(base.NotFound, self.open, command)
        self.assertRaises(base.NotFound, self.open, "true", instance_id="other")

    def test_only_inside_what_runs(self):
        self.driver.stop(self.workload(power="stopped"), deadline=backends.soon())
        self.until_phase(base.Phase.STOPPED)
        self.assertRaises(base.InvalidSpec, self.open, "true")

    def test_it_ends_with_the_instance(self):
        terminal = self.open("sh", "-c", "echo ready; exec sleep 600")
        self.drain(terminal, until=b"ready")
        self.assertEqual(2, len(self.processes()))
        self.driver.stop(self.workload(power="stopped"), deadline=backends.soon())
        self.until_phase(base.Phase.STOPPED)
        self.drain(terminal)
        self.assertEqual((128 + 9, []), (terminal.exit_code, self.processes()))

    def test_close_lets_go_of_everything_also_of_who_waits(self):
        before = len(os.listdir("/proc/self/fd"))
        terminal = self.open("sh", "-c", "echo ready; exec sleep 600", stdin=True)
        self.drain(terminal, until=b"ready")
        writer = threading.Thread(target=lambda: terminal.write(b"x" * 1_000_000))
        writer.start()
        terminal.close()
        writer.join(case.PATIENCE)
        self.assertFalse(writer.is_alive())
        self.assertIsNone(terminal.read(1.0))
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))
