"""What the local driver promises beyond the contract: place, environment, limits, output, power, privacy."""

import json
import os
import signal
import stat
import threading

from apisvc.compute import base
from apisvc.compute.local import files, watch
from apisvc.testing import backends
from tests.functional.compute import case

Phase = base.Phase


def shell(script):
    return ("/bin/sh", "-c", script)


class TestPlace(case.LocalCase):
    def run_once(self, script, **fields):
        self.ensure(command=shell(script), restart_policy="never", **fields)
        self.until_phase(Phase.EXITED)
        return self.output()

    def test_environment_is_its_own(self):
        os.environ["APISVC_TEST_LEAK"] = "leaked"
        self.addCleanup(os.environ.pop, "APISVC_TEST_LEAK")
        printed = self.run_once(
            "env -0 | tr '\\0' '\\n'",
            name="web",
            env={"A": "1", "APISVC_INSTANCE_ID": "x"},
            secret_env={"B": "2"},
        )
        env = dict(line.split("=", 1) for line in printed.splitlines())
        self.assertEqual(
            ("1", "2", "i", "web"),
            tuple(env[n] for n in ("A", "B", "APISVC_INSTANCE_ID", "APISVC_INSTANCE_NAME")),
        )
        self.assertEqual(self.path("i", "work"), env["HOME"])
        self.assertNotIn("APISVC_TEST_LEAK", env)

    def test_it_runs_in_its_folder_in_a_session_of_its_own_with_nothing_open(self):
        printed = self.run_once("pwd; cut -d' ' -f1,5,6 /proc/self/stat; cat; ls /proc/$$/fd")
        place, ids, *fds = printed.splitlines()
        self.assertEqual(self.path("i", "work"), place)
        _, group, session = ids.split()
        self.assertEqual(group, session)
        self.assertNotEqual(os.getsid(0), int(session))
        self.assertEqual(["0", "1", "2"], fds)

    def test_limits_come_from_the_flavor(self):
        printed = self.run_once("ulimit -d; ulimit -f; ulimit -c; nproc", ram_mb=64, disk_gb=2, vcpus=1)
        data, size, core, cpus = printed.split()
        self.assertEqual((65536, 2 << 21, 0, 1), (int(data), int(size), int(core), int(cpus)))

    def test_too_much_memory_is_refused_to_it(self):
        script = f"exec {os.path.realpath('/proc/self/exe')} -I -S -c 'bytearray(256 << 20)'"
        self.assertIn("MemoryError", self.run_once(script, ram_mb=64))

    def test_arguments_are_passed_as_they_are(self):
        self.ensure(
            command=("/usr/bin/printf", "[%s]"), args=("a b", "$HOME", "ü", ""), restart_policy="never"
        )
        self.until_phase(Phase.EXITED)
        self.assertEqual("[a b][$HOME][ü][]", self.output())

    def test_the_image_is_run_when_there_is_no_command(self):
        workload = backends.workload("i", image="/bin/echo", args=("hello",), restart_policy="never")
        self.driver.ensure(workload, deadline=backends.soon())
        self.until_phase(Phase.EXITED, exit_code=0)
        self.assertEqual("hello\n", self.output())

    def test_secrets_are_for_the_owner_only(self):
        self.ensure(secret_env={"PASSWORD": "correct-horse"})
        self.until_running()
        self.assertEqual(0o700, stat.S_IMODE(os.stat(self.path()).st_mode))
        for name in os.listdir(self.path()):
            mode = stat.S_IMODE(os.lstat(self.path("i", name)).st_mode)
            self.assertEqual(0, mode & 0o077, name)
        with open(f"/proc/{self.supervisors()[0]}/environ") as file:
            self.assertNotIn("correct-horse", file.read())


class TestRefusals(case.LocalCase):
    def refused(self, **fields):
        with self.assertRaises(base.InvalidSpec) as caught:
            self.driver.ensure(backends.workload("i", **fields), deadline=backends.soon())
        self.assertFalse(os.path.exists(self.path()))
        return str(caught.exception)

    def test_each_says_what_is_wrong(self):
        plain = self.path("..", "plain")
        os.makedirs(os.path.dirname(plain), exist_ok=True)
        with open(plain, "w"):
            os.chmod(plain, 0o600)
        for words, fields in (
            ("no command is given", {"image": "host"}),
            ("no command is given", {"image": ""}),
            ("'nope' does not exist", {"image": "host", "command": ("nope",)}),
            ("'/nope' does not exist", {"image": "/nope"}),
            ("not an executable file", {"image": "host", "command": (plain,)}),
            ("not an executable file", {"image": "host", "command": ("/tmp",)}),
            ("relative", {"image": "host", "command": ("./run",)}),
            ("NUL", {"image": "host", "command": ("/bin/echo", "a\0b")}),
            ("does not exist", {"image": "host", "command": ("sh",), "env": {"PATH": "/nowhere"}}),
        ):
            self.assertIn(words, self.refused(**fields))

    def test_what_cannot_be_run_after_all_has_failed_and_is_tried_again(self):
        script = os.path.join(self.folder, "script")
        with open(script, "w") as file:
            file.write("#!/nowhere\n")
        os.chmod(script, 0o700)
        workload = self.ensure(command=(script,))
        self.assertIn("No such file", self.until_phase(Phase.FAILED, reason="StartError").message)
        with open(script, "w") as file:
            file.write("#!/bin/sh\nexec sleep 600\n")
        self.driver.ensure(workload, deadline=backends.soon())
        self.until_running()

    def test_a_folder_that_cannot_be_used_is_unavailable(self):
        taken = os.path.join(self.folder, "taken")
        with open(taken, "w"):
            pass
        driver = self.make(folder=taken)
        for call in (
            lambda: driver.check(deadline=backends.soon()),
            lambda: driver.ensure(self.workload(), deadline=backends.soon()),
        ):
            self.assertRaises(base.Unavailable, call)


class TestPower(case.LocalCase):
    def test_a_stop_is_graceful_first(self):
        self.ensure(command=shell("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"))
        self.until(lambda: "up" in self.output(), "it is up")
        self.driver.stop(self.workload(power="stopped"), deadline=backends.soon())
        self.until_phase(Phase.STOPPED, exit_code=3)
        self.assertIn("bye", self.output())

    def test_then_it_is_killed_with_all_it_started(self):
        self.driver = self.make(stop_grace=0.2)
        self.ensure(
            command=shell("trap '' TERM; setsid sleep 601 & (setsid sleep 602 &); echo up; sleep 603")
        )
        self.until(lambda: "up" in self.output() and len(self.processes()) == 4, "the family is there")
        self.driver.stop(self.workload(power="stopped"), deadline=backends.soon())
        self.until_phase(Phase.STOPPED, exit_code=128 + signal.SIGKILL)
        self.assertEqual([], self.processes())
        self.until(lambda: not self.supervisors(), "a stopped instance costs no process")

    def test_what_it_left_in_the_background_ends_with_it(self):
        self.ensure(command=shell("setsid sleep 601 & echo up"), restart_policy="never")
        self.until_phase(Phase.EXITED, exit_code=0)
        self.assertEqual([], self.processes())

    def test_crashes_are_followed_by_longer_and_longer_pauses(self):
        self.ensure(command=shell("echo up; exit 1"), restart_policy="on-failure")
        seen = self.until(lambda: (s := self.look()) and s.restarts >= 3 and s.reason == "BackOff" and s, "3")
        self.assertIn("exit code 1", seen.message)
        self.assertEqual(Phase.STARTING, seen.phase)
        self.driver.stop(self.workload(power="stopped"), deadline=backends.soon())
        self.until_phase(Phase.STOPPED)

    def test_a_stopped_one_stays_so_for_a_new_driver(self):
        self.ensure()
        self.until_running()
        self.driver.stop(self.workload(power="stopped"), deadline=backends.soon())
        self.until_phase(Phase.STOPPED)
        self.driver = self.make()
        self.until_phase(Phase.STOPPED)
        self.assertEqual([], self.processes())

    def test_a_folder_taken_away_by_hand_takes_the_process_with_it(self):
        self.ensure()
        self.until_running()
        (pid,) = self.supervisors()
        os.rename(self.path(), self.path("elsewhere"))
        os.kill(pid, signal.SIGCHLD)  # it would look by itself within half a minute
        self.until(lambda: not self.processes(), "nothing runs without a folder")
        os.rename(self.path("elsewhere"), self.path())


class TestLogs(case.LocalCase):
    def test_output_is_capped_and_its_end_is_kept(self):
        self.driver = self.make(max_log_bytes=8192)
        self.ensure(command=shell("seq 1 20000"), restart_policy="never")
        self.until_phase(Phase.EXITED)
        lines = self.output().splitlines()
        self.assertEqual("20000", lines[-1])
        sizes = [os.path.getsize(self.path("i", name)) for name in ("log", "log.1")]
        self.assertLessEqual(sum(sizes), 8192)
        self.assertGreater(sum(sizes), 2048)
        request = base.LogRequest(tail=700)
        tail = b"".join(self.driver.logs("i", "tenant-1", request, deadline=backends.soon())).split()
        self.assertEqual([str(n).encode() for n in range(20001 - len(tail), 20001)], tail)

    def test_follow_goes_across_a_rotation(self):
        # Room for all of it, of which the first half goes to the older file: however slow the reader is.
        self.driver = self.make(max_log_bytes=262144)
        self.ensure(
            command=shell("for i in $(seq 1 40); do seq $((i*1000)) $((i*1000+999)); sleep 0.06; done"),
            restart_policy="never",
        )
        request = base.LogRequest(follow=True)
        heard = b"".join(self.driver.logs("i", "tenant-1", request, deadline=backends.soon()))
        self.assertEqual(list(range(1000, 41000)), [int(line) for line in heard.split()])
        self.assertTrue(os.path.exists(self.path("i", "log.1")))

    def test_output_goes_on_after_apisvc_restarts(self):
        self.ensure(command=shell("while :; do echo tick; sleep 0.01; done"))
        self.until(lambda: "tick" in self.output(), "a tick")
        self.driver.close()
        self.driver = self.make()
        before = len(self.output())
        self.until(lambda: len(self.output()) > before, "more ticks")


class TestWatch(case.LocalCase):
    def test_a_listener_that_does_not_read_hears_of_a_gap(self):
        stop = threading.Event()
        feed = watch.listen(self.owned, stop)
        self.assertEqual("", next(feed))
        for number in range(5000):
            files.notify(self.path(f"instance-with-a-long-name-{number:030}"))
        heard = [next(feed)]
        while heard[-1]:
            heard.append(next(feed))
        self.assertGreater(len(heard), 100)
        files.notify(self.path("later"))
        self.assertEqual("later", next(feed))
        stop.set()
        self.assertEqual([], list(feed))
        self.assertEqual([], os.listdir(os.path.join(self.owned, ".watch")))

    def test_a_listener_that_died_is_forgotten(self):
        pid = os.fork()
        if not pid:
            try:
                feed = watch.listen(self.owned, threading.Event())
                next(feed)
                os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(1)
        os.waitpid(pid, 0)
        self.assertEqual(1, len(os.listdir(os.path.join(self.owned, ".watch"))))
        files.notify(self.path("x"))
        self.assertEqual([], os.listdir(os.path.join(self.owned, ".watch")))


class TestDamage(case.LocalCase):
    def damage(self, name, content):
        with open(self.path("i", name), "w") as file:
            file.write(content)

    def test_a_lost_wish_is_of_no_spec_and_is_written_again(self):
        workload = self.ensure()
        self.until_running()
        self.damage("wish.json", "")
        self.assertEqual(("", Phase.UNKNOWN), (self.look().tag.spec_hash, self.look().phase))
        self.driver.ensure(workload, deadline=backends.soon())
        self.until_running()
        self.until(lambda: len(self.processes()) == 1, "one")

    def test_a_lost_tag_is_written_again(self):
        workload = self.ensure()
        self.until_running()
        self.damage("tag.json", '{"owner":')
        self.assertIsNone(self.look())
        self.driver.ensure(workload, deadline=backends.soon())
        self.until_running()
        self.assertEqual(1, len(self.processes()))

    def test_whatever_is_damaged_it_can_be_deleted(self):
        for name in ("wish.json", "tag.json", "state.json"):
            self.ensure()
            self.until_running()
            self.damage(name, "{")
            self.delete()
            self.assertEqual([], self.processes(), name)

    def test_what_it_locked_is_removed(self):
        self.ensure(command=shell("mkdir a; touch a/b; chmod 0 a/b a; echo done; exec sleep 600"))
        self.until(lambda: "done" in self.output(), "done")
        self.delete()
        self.assertEqual([], os.listdir(self.owned))

    def test_links_out_of_the_folder_are_not_followed(self):
        outside = os.path.join(self.folder, "outside")
        os.mkdir(outside, 0o755)
        self.ensure(command=shell(f"ln -s {outside} a; echo done; exec sleep 600"))
        self.until(lambda: "done" in self.output(), "done")
        self.delete()
        self.assertEqual(0o755, stat.S_IMODE(os.stat(outside).st_mode))

    def test_a_removal_that_was_cut_short_is_ended(self):
        os.makedirs(os.path.join(self.owned, ".gone-1", "work"))
        self.assertEqual([], self.driver.observe(deadline=backends.soon()))
        self.assertEqual([], os.listdir(self.owned))

    def test_files_are_whole_json(self):
        self.ensure()
        self.until_running()
        for name in ("tag", "wish", "state"):
            with open(self.path("i", f"{name}.json")) as file:
                self.assertIsInstance(json.load(file), dict)


class TestCost(case.LocalCase):
    def test_a_supervisor_is_small(self):
        self.ensure()
        self.until_running()
        with open(f"/proc/{self.supervisors()[0]}/smaps_rollup") as file:
            fields = dict(line.split(":", 1) for line in file.read().splitlines()[1:])
        private = sum(int(fields[n].split()[0]) for n in ("Private_Clean", "Private_Dirty"))
        self.assertLess(private, 12_000, "KiB of its own")
