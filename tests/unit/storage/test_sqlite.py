"""What the sqlite store does beyond the contract."""

import contextlib
import os
import shutil
import sqlite3
import threading
import time
import unittest
from collections.abc import Callable

from apisvc import conf as configuration
from apisvc.storage import base
from apisvc.storage.sqlite import database, store, watches
from tests.compliance.storage import sqlite_files

PATIENCE = 30.0


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("did not come true")
        time.sleep(0.001)


class TestFairLock(unittest.TestCase):
    def test_waiters_are_served_in_the_order_they_came(self) -> None:
        lock = database.FairLock()
        self.assertTrue(lock.acquire(time.monotonic()))
        served: list[int] = []

        def wait(number: int) -> None:
            self.assertTrue(lock.acquire(time.monotonic() + PATIENCE))
            served.append(number)
            lock.release()

        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            wait_until(lambda: len(lock._waiting) == len(threads))
        lock.release()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual([0, 1, 2, 3, 4], served)

    def test_who_gives_up_is_not_served(self) -> None:
        lock = database.FairLock()
        lock.acquire(time.monotonic())
        self.assertFalse(lock.acquire(time.monotonic() + 0.01))
        lock.release()
        self.assertTrue(lock.acquire(time.monotonic()))


class TestSqliteStore(unittest.TestCase):
    def setUp(self) -> None:
        self.path = sqlite_files.new_path(self)
        self.store = sqlite_files.open_store(self.path, synchronous="normal")
        self.addCleanup(self.store.close)

    def rows(self, sql: str) -> list[tuple]:
        """What another program finds in the file."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    def sockets(self) -> list[str]:
        """The bells that hang."""
        return os.listdir(self.path + ".wake") if os.path.isdir(self.path + ".wake") else []

    def test_the_file_lies_in_the_state_folder_by_default(self) -> None:
        conf = configuration.new()
        conf.register_opts(store.SqliteStore.options(), group="sqlite")
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("state_dir", "/srv/state")
        self.assertEqual("/srv/state/apisvc.sqlite", conf.sqlite.path)

    def test_nothing_happens_before_the_first_call(self) -> None:
        self.assertEqual([], os.listdir(os.path.dirname(self.path)))

    def test_compaction_leaves_current_rows_only(self) -> None:
        for turn in range(3 * store.COMPACT_ROWS // base.MAX_OPS):
            self.store.commit([], [base.Put(f"k{n}", str(turn).encode()) for n in range(base.MAX_OPS)])
        self.store.commit([], [base.Delete("k0")])
        self.assertGreater(self.rows("SELECT count(*) FROM record")[0][0], 2 * store.COMPACT_ROWS)
        self.store.compact(self.store.revision())
        self.assertEqual(
            [(base.MAX_OPS - 1, 0)],
            self.rows("SELECT count(*), count(superseded) FROM record"),
        )

    def test_a_reboot_ends_every_lease(self) -> None:
        lease = self.store.lease(3600)
        self.store.commit([], [base.Put("a", b"", lease.id)])
        self.rows("UPDATE lease SET boot = 'an earlier one'")
        self.assertEqual({}, dict(self.store.get(["a"]).records))
        with self.assertRaises(base.LeaseLost):
            lease.keep_alive()
        self.assertEqual([], self.rows("SELECT * FROM lease"))

    def test_a_watch_recovers_from_the_loss_of_its_socket(self) -> None:
        other = sqlite_files.open_store(self.path, synchronous="normal")
        self.addCleanup(other.close)
        watch = self.store.watch("", after=self.store.revision())
        self.addCleanup(watch.close)
        wait_until(lambda: self.sockets())
        shutil.rmtree(self.path + ".wake")
        other.commit([], [base.Put("a", b"2")])
        self.assertIsNotNone(watch.poll(PATIENCE), "the safety look")
        wait_until(lambda: self.sockets())

    def test_a_watch_without_a_socket_is_slow_but_works(self) -> None:
        with open(self.path + ".wake", "w", encoding="utf-8"):
            pass
        other = sqlite_files.open_store(self.path, synchronous="normal")
        self.addCleanup(other.close)
        with self.assertLogs("apisvc.storage.sqlite.signals", "WARNING") as logged:
            watch = self.store.watch("", after=self.store.revision())
            self.addCleanup(watch.close)
            wait_until(lambda: logged.output)
            other.commit([], [base.Put("a", b"")])
            self.assertIsNotNone(watch.poll(PATIENCE))
        self.assertIn("Watches are slow: no socket can be made in", logged.output[0])

    def test_close_leaves_no_thread_and_no_socket(self) -> None:
        before = set(threading.enumerate())
        self.store.watch("", after=self.store.revision())
        self.assertEqual(1, len(set(threading.enumerate()) - before))
        self.store.close()
        self.assertEqual(set(), set(threading.enumerate()) - before)
        self.assertEqual([], self.sockets())

    def test_reads_use_the_indexes(self) -> None:
        """Cost flat to many records: no statement walks the table or sorts."""
        self.store.ping()
        for sql, arguments in {
            store._GET[3]: 3,
            store._SCAN_CURRENT: 3,
            store._SCAN_PAST: 5,
            watches._CHANGES: 4,
        }.items():
            with contextlib.closing(sqlite3.connect(self.path)) as connection:
                plan = connection.execute("EXPLAIN QUERY PLAN " + sql, [0] * arguments).fetchall()
            steps = " / ".join(row[3] for row in plan)
            self.assertIn("SEARCH record USING INDEX", steps)
            self.assertNotIn("SCAN record", steps)
            self.assertNotIn("TEMP B-TREE", steps)
