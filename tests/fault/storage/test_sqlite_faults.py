"""What can happen to the sqlite store's file: a clear sentence, nothing lost, and on when it is over."""

import contextlib
import hashlib
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.sqlite import layout
from tests.compliance.storage import sqlite_files

NOBODY = 65534


class TestSqliteFaults(unittest.TestCase):
    def setUp(self) -> None:
        self.path = sqlite_files.new_path(self)
        self.store = sqlite_files.open_store(self.path, timeout=0.5)
        self.addCleanup(lambda: self.store.close())

    @contextlib.contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """The file as another program opens it."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    def reopen(self) -> None:
        self.store.close()
        self.store = sqlite_files.open_store(self.path, timeout=0.5)

    def unavailable(self, sentence: str, *calls: str) -> None:
        """Each call raises StoreUnavailable, in time and with the sentence."""
        for name, call in {
            "commit": lambda: self.store.commit([], [base.Put("a", b"lost")]),
            "ping": lambda: self.store.ping(),
            "lease": lambda: self.store.lease(10),
            "get": lambda: self.store.get(["a"]),
            "scan": lambda: self.store.scan(""),
            "revision": lambda: self.store.revision(),
        }.items():
            if calls and name not in calls:
                continue
            with self.subTest(call=name):
                begun = time.monotonic()
                with self.assertRaises(errors.StoreUnavailable) as raised:
                    call()
                self.assertLess(time.monotonic() - begun, 30)
                self.assertRegex(raised.exception.detail, sentence)
                self.assertIn(self.path, raised.exception.detail)
                self.assertNotIn("\n", raised.exception.detail)

    # Locked

    def test_a_locked_file_is_read_and_written_when_it_is_free(self) -> None:
        revision = self.store.commit([], [base.Put("a", b"1")])
        with self.raw() as other:
            other.execute("BEGIN EXCLUSIVE")
            self.unavailable(r"is locked by another process \(waited \d+\.\d s\)", "commit", "ping", "lease")
            self.assertEqual(b"1", self.store.get(["a"]).records["a"].value)
            self.assertEqual(revision, self.store.revision())
        self.assertEqual(
            revision + 1, self.store.commit([base.AtRevision("a", revision)], [base.Put("a", b"2")])
        )

    def test_a_commit_waits_for_a_lock_that_is_freed_in_time(self) -> None:
        self.store.commit([], [base.Put("a", b"1")])
        with self.raw() as other:
            other.execute("BEGIN IMMEDIATE")
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.functional.storage.roles", self.path, "ping"],
                stdout=subprocess.PIPE,
                text=True,
            )
            with self.assertRaises(errors.StoreUnavailable):
                self.store.ping()
        self.assertEqual("fine\n", child.communicate(timeout=60)[0])

    def test_a_start_on_a_file_that_another_has_for_itself(self) -> None:
        self.store.ping()
        self.store.close()
        with self.raw() as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE state SET revision = revision")
            other.execute("COMMIT")
            self.unavailable("is locked by another process")
        self.store.ping()

    # Not writable, not there

    def test_a_read_only_file(self) -> None:
        self.store.commit([], [base.Put("a", b"1")])
        self.store.close()
        os.chmod(os.path.dirname(self.path), 0o755)
        os.chmod(self.path, 0o444)
        self.assertRegex(self.ping_as_nobody(), rf"Store file {self.path} (is read-only|cannot be opened)")
        os.chmod(os.path.dirname(self.path), 0o777)
        self.assertRegex(self.ping_as_nobody(), f"Store file {self.path} is read-only")
        os.chmod(self.path, 0o000)
        self.assertRegex(self.ping_as_nobody(), f"Store file {self.path} cannot be opened: ")
        os.chmod(self.path, 0o600)
        self.assertEqual(b"1", self.store.get(["a"]).records["a"].value)

    def ping_as_nobody(self) -> str:
        """What a start says that has no rights beyond the file's mode."""
        child = subprocess.run(
            [sys.executable, "-m", "tests.functional.storage.roles", self.path, "ping"]
            + ([str(NOBODY)] if os.geteuid() == 0 else []),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        return child.stdout

    def test_a_folder_that_is_not_there(self) -> None:
        self.path = os.path.join(os.path.dirname(self.path), "missing", "apisvc.sqlite")
        self.reopen()
        self.unavailable(
            r"cannot be created: folder .*missing does not exist; create it or set \[sqlite\] path"
        )
        os.makedirs(os.path.dirname(self.path))
        self.store.ping()

    def test_a_folder_in_place_of_the_file(self) -> None:
        os.makedirs(self.path)
        self.unavailable("cannot be opened")

    def test_a_new_file_is_private(self) -> None:
        self.store.ping()
        for name in os.listdir(os.path.dirname(self.path)):
            mode = os.stat(os.path.join(os.path.dirname(self.path), name)).st_mode
            self.assertEqual(0, mode & 0o077, name)

    def test_a_file_moved_away_takes_no_writes_with_it(self) -> None:
        revision = self.store.commit([], [base.Put("a", b"1")])
        self.store.compact(revision)
        moved = self.path + ".moved"
        os.rename(self.path, moved)
        self.unavailable("is gone", "commit", "ping", "lease")
        self.assertFalse(os.path.exists(self.path), "an empty store in place of the lost one")
        os.rename(moved, self.path)
        self.assertEqual(b"1", self.store.get(["a"]).records["a"].value)
        self.assertEqual(revision + 1, self.store.commit([], [base.Put("a", b"2")]))

    def test_a_file_replaced_while_in_use_is_left_alone(self) -> None:
        self.store.commit([], [base.Put("a", b"1")])
        copy = self._copy()
        self.store.commit([], [base.Put("a", b"2")])
        os.replace(copy, self.path)
        before = _hash(self.path)
        self.unavailable("was replaced while in use; stop all processes", "commit", "ping", "lease")
        self.assertEqual(before, _hash(self.path))

    def test_a_position_of_a_newer_file_is_not_history_of_an_older_one(self) -> None:
        first = self.store.commit([], [base.Put("a", b"1")])
        copy = self._copy()
        second = self.store.commit([], [base.Put("a", b"2")])
        self.store.close()
        os.replace(copy, self.path)
        self.reopen()
        watch = self.store.watch("", after=second)
        with self.assertRaises(base.Compacted) as gone:
            watch.poll(10)
        self.assertEqual(first, gone.exception.revision)
        self.assertEqual(b"1", self.store.get(["a"]).records["a"].value)

    def _copy(self) -> str:
        """A backup of the file."""
        path = self.path + ".copy"
        with self.raw() as source, contextlib.closing(sqlite3.connect(path)) as target:
            source.backup(target)
        return path

    # Damaged, foreign, newer

    def test_a_file_that_is_no_database(self) -> None:
        with open(self.path, "wb") as file:
            file.write(b"once upon a time " * 1000)
        self.unchanged("is not a SQLite database; restore it")

    def test_a_damaged_file(self) -> None:
        for number in range(50):
            self.store.commit([], [base.Put(f"k{number}", bytes(3000))])
        self.store.close()
        size = os.path.getsize(self.path)
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (size - 4096))
        self.unchanged("is damaged .*; restore it from a dump")

    def test_a_database_of_another_program(self) -> None:
        with self.raw() as other:
            other.execute("CREATE TABLE theirs (value)")
        self.unchanged("is a database of another program")

    def test_a_newer_schema(self) -> None:
        self.store.ping()
        self.store.close()
        with self.raw() as other:
            other.execute(f"PRAGMA user_version = {layout.VERSION + 1}")
        self.unchanged(
            f"has schema version {layout.VERSION + 1}, this apisvc knows up to {layout.VERSION}: .* upgrade"
        )

    def unchanged(self, sentence: str) -> None:
        """Every call says the sentence, and none touches the file."""
        before = _hash(self.path)
        self.unavailable(sentence)
        self.store.close()
        self.assertEqual(before, _hash(self.path))

    # Full

    def test_a_file_that_may_not_grow(self) -> None:
        """A limit on file sizes, which needs no rights: the same write error, by another name."""
        revision = self.store.commit([], [base.Put("a", b"1")])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, (128 * 1024, limits[1]))
        revision = self.fill(revision, "cannot be read or written|is full")
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.recovered(revision)

    @unittest.skipUnless(os.geteuid() == 0, "to mount a small disk needs root; the test above does without")
    def test_a_full_disk(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, folder)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True
        )
        if mounted.returncode:
            self.skipTest(f"mount is not allowed here: {mounted.stderr.decode()}")
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        self.addCleanup(lambda: self.store.close())
        ballast = os.path.join(folder, "ballast")
        with open(ballast, "wb") as file:
            file.write(bytes(128 * 1024))
        self.path = os.path.join(folder, "apisvc.sqlite")
        self.reopen()
        revision = self.fill(
            self.store.commit([], [base.Put("a", b"1")]), "The disk of store file .* is full"
        )
        os.unlink(ballast)
        self.recovered(revision)

    def fill(self, revision: int, sentence: str) -> int:
        """Write until it fails; the last revision that was acknowledged."""
        for number in range(1000):
            try:
                revision = self.store.commit([], [base.Put(f"k{number:03}", bytes(8000))])
            except errors.StoreUnavailable as error:
                self.assertRegex(error.detail, sentence)
                break
        else:
            self.fail("nothing was ever full")
        self.written = number
        # A small write may still fit where that one did not, but not for ever.
        with self.assertRaises(errors.StoreUnavailable) as raised:
            for _ in range(100):
                self.store.ping()
        self.assertRegex(raised.exception.detail, sentence)
        self.assertEqual(b"1", self.store.get(["a"]).records["a"].value)
        self.assertEqual(number, len(self.store.scan("k").records))
        return revision

    def recovered(self, revision: int) -> None:
        """The same store object goes on, and holds all that was acknowledged."""
        self.store.ping()
        self.assertEqual(revision + 1, self.store.commit([], [base.Put("after", b"")]))
        self.assertEqual(self.written, len(self.store.scan("k").records))
        self.reopen()
        self.assertEqual(self.written, len(self.store.scan("k").records))
        with self.raw() as other:
            self.assertEqual([("ok",)], other.execute("PRAGMA integrity_check").fetchall())


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
