"""The example package apisvc-etcd3: its own tests, and what its users see when members die."""

import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest
from typing import Any

import fixtures
import testtools

from apisvc import errors
from apisvc.storage import base
from apisvc.testing import storage
from tests.functional import deployment, scratch
from tests.functional.commands import running
from tests_etcd import administration, certificates, cluster, stores

EXAMPLE = running.TREE / "examples" / "apisvc-etcd3"
CHECK = "import sys; from apisvc.commands.driver_check import main; sys.exit(main())"


class TestPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="apisvc-etcd3-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.package = cls.folder / "package"
        cls.python = scratch.install(EXAMPLE, cls.package, cls.folder / "venv")
        cls.cluster = cluster.Cluster(1)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()
        cls.address = cls.cluster.members[0].address

    def test_its_own_tests_pass(self) -> None:
        environ = {**os.environ, "ETCD_ENDPOINTS": self.address}
        command = (self.python, "-m", "unittest", "discover", "-s", "tests", "-t", ".")
        scratch.output(*command, cwd=self.package, env=environ, timeout=600)

    def check(self, *options: str) -> dict[str, Any]:
        """What the command says of the driver by its name."""
        said = scratch.output(
            *(self.python, "-c", CHECK, "storage", "etcd3", "--json", "--option", "prefix=/check"),
            *(part for option in options for part in ("--option", option)),
            *("--match", "guard"),
        )
        document: dict[str, Any] = json.loads(said)
        return document

    def test_it_is_judged_by_its_name(self) -> None:
        document = self.check(f"endpoints={self.address}")
        self.assertEqual("apisvc_etcd3.store:Etcd3Store", document["class"])
        self.assertEqual({"passed"}, {one["outcome"] for one in document["scenarios"]})

    def test_options_that_cannot_be(self) -> None:
        for option, line in {
            "endpoints=here": "endpoints: 'here' is not HOST:PORT",
            "cert_key=/k": "cert_cert needs cert_key",
            "user=root": "user needs password",
        }.items():
            with self.assertRaisesRegex(AssertionError, line):
                self.check(option)


class Etcd3Case(testtools.TestCase):
    """The driver in this process, without an installation."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        sys.path.append(str(EXAMPLE))
        cls.addClassCleanup(sys.path.remove, str(EXAMPLE))
        from apisvc_etcd3 import store

        cls.driver = store.Etcd3Store

    def open(self, endpoints: list[str], **options: object) -> Any:
        options = {"prefix": stores.new_prefix(), **options}
        store = self.driver(storage.group(self.driver, "etcd3", endpoints=endpoints, **options))
        self.addCleanup(store.close)
        return store


class TestFailover(Etcd3Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cluster = cluster.Cluster(3)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()

    def setUp(self) -> None:
        super().setUp()
        self.cluster.mend()
        self.store = self.open(self.cluster.endpoints)

    def put(self, key: str) -> None:
        """Put it for certain, however often that needs to be tried."""

        def done() -> bool:
            with contextlib.suppress(errors.StoreUnavailable):
                self.store.commit([], [base.Put(key, b"")])
                return True
            return False

        deployment.wait_for(f"{key} is written", done, 30)

    def test_each_member_may_die_and_nothing_is_missed(self) -> None:
        watch = self.store.watch("", after=self.store.revision())
        seen: list[str] = []
        for number, member in enumerate(self.cluster.members):
            self.put(f"before/{number}")
            member.kill()
            self.put(f"after/{number}")
            self.assertIn(f"before/{number}", self.store.get([f"before/{number}"]).records)
            self.cluster.mend()
        self.put("last")
        end = time.monotonic() + 30
        while "last" not in seen:
            batch = watch.poll(end - time.monotonic())
            self.assertIsNotNone(batch, seen)
            seen += [change.key for change in batch.changes]
        wanted = [key for number in range(3) for key in (f"before/{number}", f"after/{number}")]
        self.assertEqual([*wanted, "last"], list(dict.fromkeys(seen)))

    def test_a_frozen_member_costs_an_attempt_and_no_deadline_is_missed(self) -> None:
        self.put("a")
        for member in self.cluster.members:
            member.freeze()
            begun = time.monotonic()
            with contextlib.suppress(errors.StoreUnavailable):
                self.store.get(["a"], deadline=begun + 0.5)
            self.assertLess(time.monotonic() - begun, 1.0)
            deployment.wait_for("another member serves", lambda: self.store.get(["a"]).records, 10)
            self.cluster.mend()

    def test_watches_reach_a_revision_that_others_made(self) -> None:
        watch = self.store.watch("", after=self.store.revision())
        self.open(self.cluster.endpoints).commit([], [base.Put("foreign", b"")])
        revision = self.store.revision()
        batch = watch.poll(10)
        assert batch is not None
        self.assertGreaterEqual(batch.revision, revision)
        self.assertEqual([], list(batch.changes))

    def test_it_shares_its_data_with_the_driver_of_apisvc(self) -> None:
        prefix = stores.new_prefix()
        ours = self.open(self.cluster.endpoints, prefix=prefix)
        theirs = stores.open_store(self, self.cluster.endpoints, prefix)
        watch = ours.watch("", after=ours.revision())
        lease = theirs.lease(60)
        revision = theirs.commit([], [base.Put("a", b"1", lease.id)])
        self.assertEqual(theirs.get(["a"]), ours.get(["a"]))
        batch = watch.poll(10)
        assert batch is not None
        self.assertEqual([base.Change("a", b"1", revision)], list(batch.changes))
        self.assertEqual(lease.id, batch.changes[0].lease)
        ours.commit([base.AtRevision("a", revision)], [base.Delete("a")])
        self.assertEqual([], list(theirs.scan("").records))

    def test_nobody_is_there(self) -> None:
        for member in self.cluster.members:
            member.kill()
        begun = time.monotonic()
        with self.assertRaises(errors.StoreUnavailable):
            self.store.ping(deadline=begun + 1.0)
        self.assertLess(time.monotonic() - begun, 1.5)
        self.cluster.mend()
        self.put("again")


class TestFiles(Etcd3Case):
    def test_one_that_is_empty_for_now(self) -> None:
        authority = certificates.Authority(pathlib.Path(self.useFixture(fixtures.TempDir()).path))
        members = self.useFixture(cluster.Cluster(1, tls=(authority.path, *authority.issue("member"))))
        ours, key = authority.issue("apisvc")
        kept = pathlib.Path(key).read_bytes()
        pathlib.Path(key).write_bytes(b"")
        store = self.open(members.endpoints, ca_cert=authority.path, cert_cert=ours, cert_key=key)
        error = self.assertRaises(errors.StoreUnavailable, store.ping)
        self.assertIn(f"{key}: The file is empty", error.detail)
        pathlib.Path(key).write_bytes(kept)
        store.ping()


class TestPassword(Etcd3Case):
    def test_a_user_with_a_role_for_the_prefix(self) -> None:
        members = self.useFixture(cluster.Cluster(1))
        root = administration.Administrator(members.members[0])
        root.add_user("apisvc")
        root.add_role("apisvc")
        root.grant("apisvc", "apisvc")
        root.permit("apisvc", "/apisvc")
        root.enable()
        store = self.open(members.endpoints, prefix="/apisvc", user="apisvc", password=root.password)
        store.ping()
        watch = store.watch("", after=store.revision())
        first = store.commit([], [base.Put("a", b"1")])
        # Any change of roles ends the tokens there are.
        root.add_role("another")
        lease = store.lease(60)
        lease.keep_alive()
        second = store.commit([base.AtRevision("a", first)], [base.Put("b", b"", lease.id)])
        store.compact(second)
        with self.assertRaises(base.Compacted) as gone:
            store.scan("", revision=first)
        self.assertEqual(second, gone.exception.revision)
        self.assertEqual([first, second], [store.get([k]).records[k].revision for k in "ab"])
        watch.close()

        wrong = self.open(members.endpoints, prefix="/apisvc", user="apisvc", password="no")
        with self.assertRaisesRegex(errors.StoreUnavailable, "authentication failed"):
            wrong.ping()
