"""kill -9 of everything that has to do with a local instance, at any time: exactly one of it, or none."""

import os
import random
import signal
import time

from apisvc.compute import base
from apisvc.testing import backends
from tests.functional.compute import case

ROUNDS = 30


class KillCase(case.LocalCase):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("APISVC_TEST_SEED", random.randrange(1 << 32)))
        self.random = random.Random(self.seed)

    def one(self, processes=1, instance_id="i"):
        """Exactly one supervisor with its processes, as soon as all dust has settled."""
        self.until_running(instance_id)
        self.until(lambda: len(self.supervisors(instance_id)) == 1, f"one supervisor (seed {self.seed})")
        # In the middle of an exec a process shows no environment, so one look may miss it.
        looks = [0]

        def settled():
            looks[0] = looks[0] + 1 if len(self.processes(instance_id)) == processes else 0
            return looks[0] == 3

        self.until(settled, f"{processes} processes (seed {self.seed})")

    def none(self, instance_id="i"):
        self.assertIsNone(self.look(instance_id))
        self.assertEqual([], self.processes(instance_id), f"seed {self.seed}")
        self.until(lambda: not self.supervisors(instance_id), f"no supervisor (seed {self.seed})")
        self.assertFalse(os.path.exists(self.path(instance_id)))

    def killed_amid(self, call, within):
        """Run ``call`` in a process of its own that is killed some time within so many seconds."""
        pid = os.fork()
        if not pid:
            try:
                call()
            finally:
                os._exit(0)
        time.sleep(self.random.uniform(0, within))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class TestSupervisorKilled(KillCase):
    def test_its_command_dies_with_it_and_observe_revives_both(self):
        self.ensure(command=case.FAMILY)
        before = self.until_running()
        self.until(lambda: len(self.processes()) == 2, "the family is there")
        (supervisor,) = self.supervisors()
        os.kill(supervisor, signal.SIGKILL)
        self.until(lambda: int(before.handle) not in self.processes(), "the command died with it")
        self.until(lambda: (seen := self.look()) and seen.handle not in (None, before.handle), "revived")
        self.until(lambda: len(self.processes()) == 2, "the family is there again, once")
        self.one(processes=2)
        self.assertEqual(1, self.look().restarts)

    def test_ensure_revives_it_at_once(self):
        workload = self.ensure()
        for _ in range(10):
            before = self.until_running()
            (supervisor,) = self.supervisors()
            os.kill(supervisor, signal.SIGKILL)
            self.driver.ensure(workload, deadline=backends.soon())
            self.until(lambda b=before: (s := self.look()) and s.handle not in (None, b.handle), "revived")
            self.one()

    def test_delete_of_what_it_left_behind(self):
        self.ensure(command=case.FAMILY)
        self.until_running()
        self.until(lambda: len(self.processes()) == 2, "the family is there")
        os.kill(self.supervisors()[0], signal.SIGKILL)
        self.delete()
        self.none()

    def test_amid_everything_it_does(self):
        for number in range(ROUNDS):
            instance_id = f"i-{number}"
            workload = self.ensure(instance_id, command=case.FAMILY)
            end = time.monotonic() + self.random.uniform(0, 0.08)
            while time.monotonic() < end:
                pass
            for pid in self.supervisors(instance_id):
                os.kill(pid, signal.SIGKILL)
            self.driver.ensure(workload, deadline=backends.soon())
            self.until_running(instance_id)
            self.until(lambda i=instance_id: len(self.processes(i)) == 2, f"a family (seed {self.seed})")
            self.one(2, instance_id)
            self.delete(instance_id)
            self.none(instance_id)

    def test_told_to_leave_it_ends_the_command_gracefully_and_observe_revives_it(self):
        self.ensure(
            command=("/bin/sh", "-c", "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done")
        )
        self.until(lambda: "up" in self.output(), "it is up")
        (supervisor,) = self.supervisors()
        os.kill(supervisor, signal.SIGTERM)
        self.until(lambda: "bye" in self.output(), "the command ended by itself")
        self.until(lambda: self.output().count("up") == 2, "revived")
        self.until_running()
        self.until(lambda: len(self.supervisors()) == 1, "one supervisor")


class TestCommandKilled(KillCase):
    def test_it_is_started_again(self):
        self.ensure(restart_policy="always")
        before = self.until_running()
        os.kill(int(before.handle), signal.SIGKILL)
        after = self.until_running(restarts=1)
        self.assertNotEqual(before.handle, after.handle)
        self.one()

    def test_or_not(self):
        self.ensure(restart_policy="never")
        os.kill(int(self.until_running().handle), signal.SIGKILL)
        self.until_phase(base.Phase.EXITED, exit_code=137, reason="Signal")
        self.until(lambda: not self.supervisors(), "nobody waits beside what has ended")


class TestDriverKilled(KillCase):
    def test_amid_ensure(self):
        for number in range(ROUNDS):
            instance_id = f"i-{number}"
            workload = self.workload(instance_id)
            self.killed_amid(lambda w=workload: self.driver.ensure(w, deadline=backends.soon()), 0.006)
            self.driver.ensure(workload, deadline=backends.soon())
            self.one(instance_id=instance_id)
        self.assertEqual(ROUNDS, len(self.driver.observe(deadline=backends.soon())))

    def test_amid_ensure_with_its_supervisor(self):
        for number in range(ROUNDS):
            instance_id = f"i-{number}"
            workload = self.workload(instance_id)
            self.killed_amid(lambda w=workload: self.driver.ensure(w, deadline=backends.soon()), 0.04)
            for pid in self.supervisors(instance_id):
                os.kill(pid, signal.SIGKILL)
            self.driver.ensure(workload, deadline=backends.soon())
            self.one(instance_id=instance_id)

    def test_amid_delete(self):
        def delete(instance_id):
            while not self.driver.delete(instance_id, "tenant-1", deadline=backends.soon()):
                pass

        for number in range(ROUNDS):
            instance_id = f"i-{number}"
            self.ensure(instance_id)
            self.until_running(instance_id)
            self.killed_amid(lambda i=instance_id: delete(i), 0.02)
            self.delete(instance_id)
            self.none(instance_id)

    def test_amid_delete_observe_finishes_it(self):
        self.ensure()
        self.until_running()
        self.driver.delete("i", "tenant-1", deadline=backends.soon())
        self.until(lambda: self.look() is None, "it went without another call")
        self.none()

    def test_amid_reboots_each_happens_once(self):
        workload = self.ensure(command=("/bin/sh", "-c", "echo up; exec sleep 600"))
        self.until(lambda: self.output().count("up") == 1, "it is up")
        for number in range(1, ROUNDS + 1):
            asked = self.workload(command=workload.command, reboots=number)
            self.killed_amid(lambda w=asked: self.driver.reboot(w, deadline=backends.soon()), 0.003)
            self.driver.reboot(asked, deadline=backends.soon())
            self.until_running(reboots=number)
            self.until(lambda n=number: self.output().count("up") == n + 1, f"up {number + 1} times")
        self.one()

    def test_eight_at_once_make_one(self):
        for number in range(5):
            instance_id = f"i-{number}"
            workload = self.workload(instance_id)
            pids = []
            for _ in range(8):
                pid = os.fork()
                if not pid:
                    try:
                        self.driver.ensure(workload, deadline=backends.soon())
                    finally:
                        os._exit(0)
                pids.append(pid)
            for pid in pids:
                os.waitpid(pid, 0)
            self.one(instance_id=instance_id)

    def test_what_is_half_made_is_not_counted_and_is_cleared_away(self):
        os.makedirs(self.path("half", "work"))
        self.assertEqual([], self.driver.observe(deadline=backends.soon()))
        self.assertTrue(os.path.exists(self.path("half")))
        os.utime(self.path("half"), (0, 0))
        self.assertEqual([], self.driver.observe(deadline=backends.soon()))
        self.assertFalse(os.path.exists(self.path("half")))
        os.makedirs(self.path("half", "work"))
        self.ensure("half")
        self.one(instance_id="half")
