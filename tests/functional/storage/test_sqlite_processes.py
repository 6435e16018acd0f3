"""The sqlite store under several processes on one file."""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
import unittest

from apisvc.storage import base
from tests.compliance.storage import sqlite_files
from tests.functional import deployment

PATIENCE = 30.0


class TestSqliteProcesses(unittest.TestCase):
    def setUp(self) -> None:
        self.path = sqlite_files.new_path(self)
        self.store = sqlite_files.open_store(self.path, synchronous="normal", timeout=PATIENCE)
        self.addCleanup(self.store.close)

    def start(self, role: str, argument: str = "") -> subprocess.Popen[str]:
        """Another process in a role of ``roles.py``, ready to begin."""
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.functional.storage.roles", self.path, role, argument],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait, PATIENCE)
        self.addCleanup(child.kill)
        self.assertEqual("ready\n", child.stdout.readline())
        return child

    def next_keys(self, watch: base.Watch) -> list[str]:
        """The keys of the next batch that has any."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            batch = watch.poll(end - time.monotonic())
            if batch is not None and batch.changes:
                return [change.key for change in batch.changes]
        raise self.failureException("no change came")

    def sockets(self) -> list[str]:
        return os.listdir(self.path + ".wake")

    def test_a_change_comes_through_another_process_and_back(self) -> None:
        self.start("echo")
        watch = self.store.watch("pong/", after=self.store.revision())
        self.addCleanup(watch.close)
        trips = []
        for turn in range(50):
            begun = time.perf_counter()
            self.store.commit([], [base.Put(f"ping/{turn}", b"")])
            self.assertEqual([f"pong/{turn}"], self.next_keys(watch))
            trips.append(time.perf_counter() - begun)
        print(
            f"there and back: median {statistics.median(trips) * 1000:.2f} ms, worst {max(trips) * 1000:.2f} ms"
        )

    def test_three_processes_lose_no_increment(self) -> None:
        self.store.commit([], [base.Put("counter", b"0")])
        children = [self.start("increment", "100") for _ in range(3)]
        self.assertEqual([0, 0, 0], [child.wait(PATIENCE) for child in children])
        self.assertEqual(b"300", self.store.get(["counter"]).records["counter"].value)

    def test_the_lease_of_a_killed_process_ends(self) -> None:
        child = self.start("hold", "2")
        watch = self.store.watch("claim", after=self.store.revision())
        self.addCleanup(watch.close)
        # It is kept alive beyond its time, and over with its holder.
        self.assertIsNone(watch.poll(3.0))
        child.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        self.assertEqual(["claim"], self.next_keys(watch))
        self.assertEqual({}, dict(self.store.get(["claim"]).records))
        print(f"gone {time.monotonic() - killed:.2f} s after the kill, with a lease of 2 s")

    def test_a_kill_amid_commits_leaves_a_whole_file(self) -> None:
        for kill in range(5):
            with self.subTest(kill=kill):
                child = self.start("write")
                acknowledged = [child.stdout.readline() for _ in range(10 + 7 * kill)]
                child.kill()
                acknowledged += child.stdout.readlines()
                # What was said is there, and what is there is whole.
                self.store.ping()
                found = self.store.get(["left", "right", f"log/{int(acknowledged[-1]):06}"]).records
                self.assertEqual(3, len(found))
                self.assertEqual(found["left"].value, found["right"].value)
                self.assertEqual(found["left"].revision, found["right"].revision)
                self.assertEqual([("ok",)], _integrity(self.path))

    def test_the_last_user_killed_leaves_a_whole_file(self) -> None:
        self.store.close()
        child = self.start("write")
        acknowledged = [child.stdout.readline() for _ in range(30)]
        child.kill()
        acknowledged += child.stdout.readlines()
        self.store = sqlite_files.open_store(self.path)
        self.addCleanup(self.store.close)
        logged = self.store.scan("log/").records
        self.assertIn(len(logged) - len(acknowledged), (0, 1), "one more may be written than was said")
        self.assertEqual([("ok",)], _integrity(self.path))

    def test_the_socket_of_a_killed_watcher_is_removed(self) -> None:
        child = self.start("echo")
        self.store.commit([], [base.Put("ping/0", b"")])
        deployment.wait_for("it answers", lambda: self.store.get(["pong/0"]).records, PATIENCE)
        self.assertEqual([str(child.pid)], [name.split("-")[0] for name in self.sockets()])
        child.kill()
        child.wait(PATIENCE)
        self.store.commit([], [base.Put("a", b"")])
        self.assertEqual([], self.sockets())

    def test_a_store_is_used_on_both_sides_of_a_fork(self) -> None:
        child = self.start("fork")
        self.assertEqual("['child saw before', 'status 0']\n", child.stdout.readline())
        self.assertEqual("['after']\n", child.stdout.readline())
        self.assertEqual(0, child.wait(PATIENCE))
        self.assertEqual([], self.sockets())
        self.assertEqual([("ok",)], _integrity(self.path))

    def test_a_fork_amid_the_calls_of_other_threads(self) -> None:
        """What SQLite holds for itself just then would be held for ever in the child."""
        child = self.start("forks", "60")
        self.assertEqual("{0}\n", child.stdout.readline())

    def test_a_path_longer_than_a_socket_may_have(self) -> None:
        folder = os.path.join(os.path.dirname(self.path), "long" * 30)
        os.makedirs(folder)
        self.path = os.path.join(folder, "apisvc.sqlite")
        store = sqlite_files.open_store(self.path)
        self.addCleanup(store.close)
        self.start("echo")
        watch = store.watch("pong/", after=store.revision())
        store.commit([], [base.Put("ping/1", b"")])
        self.assertEqual(["pong/1"], self.next_keys(watch))
        self.assertEqual(2, len(self.sockets()))


def _integrity(path: str) -> list[tuple[str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
