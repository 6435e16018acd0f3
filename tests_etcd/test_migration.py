"""A deployment moves from SQLite to etcd and back, by the operator's commands."""

import testtools

from apisvc.commands import manage
from apisvc.storage import base
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
