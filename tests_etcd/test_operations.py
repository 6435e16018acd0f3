"""What an operator does with the store as a whole, on etcd; also moving there from SQLite and back."""

import json
import time

import testtools

from apisvc.commands import driver_check, manage, status
from apisvc.model import keys
from apisvc.storage import base
from tests import ports
from tests.unit.commands import deployment
from tests_etcd import cluster, stores


class TestMigration(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.here = self.useFixture(deployment.Deployment())
        self.back = self.useFixture(deployment.Deployment())
        self.there = self.useFixture(deployment.Deployment())
        self.members = self.useFixture(cluster.Cluster(1))
        endpoints = ",".join(self.members.endpoints)
        self.there.write(
            f"[storage]\ndriver = etcd\n[etcd]\nendpoints = {endpoints}\nprefix = {stores.new_prefix()}\n"
        )

    def manage(self, at: deployment.Deployment, *argv: str) -> str:
        code, out, err = at.run(manage.main, *argv)
        self.assertEqual(0, code, err)
        return out + err

    def content(self, at: deployment.Deployment) -> dict[str, bytes]:
        store = at.store()
        found: dict[str, bytes] = {}
        page = store.scan("")
        while True:
            found |= {record.key: record.value for record in page.records}
            if not page.more:
                return found
            page = store.scan("", start=page.records[-1].key + "\1", revision=page.revision)

    def test_there_and_back(self) -> None:
        self.manage(self.here, "bootstrap")
        store = self.here.store()
        for turn in range(20):
            puts = [base.Put(f"flavor-names/{turn}-{n}", b"\xff" * 10 * n) for n in range(base.MAX_OPS)]
            store.commit([], puts)
        for turn in range(3):
            store.commit([], [base.Put(f"flavor-names/large-{turn}", bytes(base.MAX_VALUE))])
        before = self.content(self.here)

        there = self.manage(self.here, "store", "migrate", "--to-config", str(self.there.config))
        self.assertIn(f"Copied {len(before) - 1} records", there)
        self.assertEqual(before, self.content(self.there))
        back = self.manage(self.there, "store", "migrate", "--to-config", str(self.back.config))
        self.assertEqual(there, back)
        self.assertEqual(before, self.content(self.back))

    def test_what_was_migrated_is_sound_and_has_no_history_after_a_compaction(self) -> None:
        self.manage(self.here, "bootstrap")
        self.manage(self.here, "store", "migrate", "--to-config", str(self.there.config))
        self.assertIn(" 0 wrong.", self.manage(self.there, "store", "check"))
        store = self.there.store()
        first = store.commit([], [base.Put("odds", b"1")])
        store.commit([], [base.Put("odds", b"2")])
        self.manage(self.there, "store", "compact")
        self.assertRaises(base.Compacted, store.scan, "", revision=first)
        self.assertEqual(b"2", store.get(["odds"]).records["odds"].value)


class TestOperations(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.members = self.useFixture(cluster.Cluster(1))
        self.here = self.another()

    def another(self, **options: object) -> deployment.Deployment:
        """One on etcd, under a prefix of its own."""
        made = self.useFixture(deployment.Deployment())
        etcd = {"endpoints": ",".join(self.members.endpoints), "prefix": stores.new_prefix(), **options}
        lines = [f"{name} = {value}" for name, value in etcd.items()]
        made.write("\n".join(["[storage]", "driver = etcd", "[etcd]", *lines, ""]))
        return made

    def good(self, at: deployment.Deployment, *argv: str) -> str:
        code, out, err = at.run(manage.main, *argv)
        self.assertEqual(0, code, err)
        return out + err

    def refused(self, at: deployment.Deployment, *argv: str, line: str) -> None:
        """In one line, in time, and nothing is written."""
        begun = time.monotonic()
        code, out, err = at.run(manage.main, *argv)
        # Libraries may warn of what they deprecate.
        said = [each for each in err.splitlines() if each.startswith(f"{manage.PROG}: ")]
        self.assertEqual((1, "", 1), (code, out, len(said)), err)
        self.assertRegex(said[0], line)
        self.assertLess(time.monotonic() - begun, 20)

    def test_dump_and_restore_through_many_pages(self) -> None:
        self.refused(self.here, "store", "check", line="the store is empty: there is nothing to check")
        self.good(self.here, "bootstrap")
        store = self.here.store()
        for turn in range(30):
            puts = [base.Put(f"flavor-names/{turn}-{n}", b"\xff" * n) for n in range(base.MAX_OPS)]
            store.commit([], puts)
        lease = store.lease(60)
        store.commit([], [base.Put("workers/of-a-process", b"1", lease.id)])
        dump, there = self.here.folder / "dump", self.another()
        said = self.good(self.here, "store", "dump", str(dump))
        self.assertEqual(said.replace("Dumped", "Restored"), self.good(there, "store", "restore", str(dump)))
        found = {r.key: r.value for page in base.pages(store, "") for r in page.records if not r.lease}
        self.assertEqual(
            found, {r.key: r.value for page in base.pages(there.store(), "") for r in page.records}
        )
        self.refused(there, "store", "restore", str(dump), line="The store is not empty")
        dump.write_bytes(dump.read_bytes()[:-10])
        empty = self.another()
        self.refused(empty, "store", "restore", str(dump), line="cut")
        self.refused(empty, "store", "restore", str(dump) + "-not", line="No such file")
        self.assertEqual([], list(empty.store().scan("").records))

    def test_compact(self) -> None:
        self.good(self.here, "bootstrap")
        store = self.here.store()
        current = store.revision()
        wrong = str(current + 1000)
        self.refused(self.here, "store", "compact", "--revision", wrong, line=f"at {current}; valid: 0 to")
        first = store.commit([], [base.Put("odds", b"1")])
        store.commit([], [base.Put("odds", b"2")])
        self.good(self.here, "store", "compact", "--revision", str(first))
        self.assertEqual(b"1", store.scan("odds", revision=first).records[0].value)
        self.good(self.here, "store", "compact")
        self.assertRaises(base.Compacted, store.scan, "", revision=first)

    def test_data_of_a_newer_release(self) -> None:
        self.good(self.here, "bootstrap")
        self.here.store().commit([], [base.Put(keys.SCHEMA, b"9")])
        line = "the store holds data of layout 9, made by a newer release; this one knows layouts up to"
        for action in (("check",), ("dump", str(self.here.folder / "dump")), ("compact",)):
            self.refused(self.here, "store", *action, line=line)

    def test_nobody_answers(self) -> None:
        port = ports.reserve(self.addCleanup)
        lost = self.another(endpoints=f"http://127.0.0.1:{port}", timeout=1)
        target = ("migrate", "--to-config", str(self.here.config))
        for action in (("check",), ("compact",), ("dump", str(lost.folder / "dump")), target):
            self.refused(lost, "store", *action, line=f"etcd cannot be reached .127.0.0.1:{port}.*refused")
        code, out, _ = lost.run(status.main, "upgrade", "check")
        self.assertEqual(2, code)
        self.assertIn("etcd cannot be reached", out.replace("\n", " "))

    def test_the_driver_is_judged_by_its_name(self) -> None:
        options = [f"endpoints={','.join(self.members.endpoints)}", f"prefix={stores.new_prefix()}"]
        argv = ["storage", "etcd", "--json", "--match", "guard"]
        for option in options:
            argv += ["--option", option]
        code, out, err = _without_config(self.here, *argv)
        self.assertEqual(0, code, err)
        document = json.loads(out)
        self.assertEqual("apisvc.storage.etcd.driver:EtcdStore", document["class"])
        self.assertGreater(document["counts"]["passed"], 3)
        self.assertEqual(0, document["counts"]["failed"])
        self.assertGreater(len(document["not_run"]), 50)


def _without_config(at: deployment.Deployment, *argv: str) -> tuple[int, str, str]:
    return at.run(lambda given: driver_check.main(given[2:]), *argv)
