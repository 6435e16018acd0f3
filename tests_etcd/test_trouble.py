"""Trouble that people have to mend: it is said clearly, and over without a restart."""

from typing import Any

import testtools

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import driver, protocol
from tests import ports
from tests.functional import deployment
from tests_etcd import administration, cluster, stores, test_outage


class TestNoSpace(testtools.TestCase):
    def test_it_is_said_and_recovers_when_the_alarm_is_cleared(self) -> None:
        members = self.useFixture(cluster.Cluster(options=("--quota-backend-bytes", str(4 * 1024 * 1024))))
        store = stores.open_store(self, members.endpoints)
        store.commit([], [base.Put("kept", b"1")])

        def fill() -> None:
            for turn in range(100):
                store.commit([], [base.Put("big", bytes(200_000 + turn))])

        error = self.assertRaises(errors.StoreUnavailable, fill)
        self.assertIn("no space left", error.detail)
        self.assertTrue(error.retry_after)
        self.assertIn("no space left", self.assertRaises(errors.StoreUnavailable, store.ping).detail)
        # Reads go on.
        self.assertEqual(["kept"], [r.key for r in store.scan("kept").records])
        self.assertEqual(["big", "kept"], sorted(store.get(["kept", "big", "missing"]).records))

        store.compact(store.revision())
        administrator = administration.Administrator(members.members[0])
        etcd = protocol.load()

        def cleared() -> bool:
            # The compaction goes on in the background, and only what it has done can be given back.
            administrator.call("Maintenance/Defragment", b"")
            for alarm in self.alarm(store, etcd.AlarmRequest(action="GET")).alarms:
                clear = etcd.AlarmRequest(action="DEACTIVATE", memberID=alarm.memberID, alarm=alarm.alarm)
                self.alarm(store, clear)
            try:
                store.commit([], [base.Put("kept", b"2")])
            except errors.StoreUnavailable:
                return False
            return True

        deployment.wait_for("there is space again", cleared)
        store.ping()

    def alarm(self, store: driver.EtcdStore, request: object) -> Any:
        return store.client.call("Maintenance/Alarm", request, deadline=None, repeatable=True)


class TestNotEtcd(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        port = ports.reserve(self.addCleanup)
        self.web = f"http://127.0.0.1:{port}"
        other = test_outage.another_server("127.0.0.1", port)
        other.__enter__()
        self.addCleanup(other.__exit__, None, None, None)

    def test_a_web_server(self) -> None:
        store = stores.open_store(self, [self.web], timeout=2.0)
        error = self.assertRaises(errors.StoreUnavailable, store.ping)
        self.assertIn(self.web.removeprefix("http://"), error.detail)

    def test_nobody_there(self) -> None:
        port = ports.reserve(self.addCleanup)
        store = stores.open_store(self, [f"http://127.0.0.1:{port}"], timeout=1.0)
        error = self.assertRaises(errors.StoreUnavailable, store.ping)
        self.assertRegex(error.detail, "(?i)refused")

    def test_a_name_that_does_not_exist(self) -> None:
        store = stores.open_store(self, ["http://etcd.invalid:2379"], timeout=2.0)
        self.assertRaises(errors.StoreUnavailable, store.ping)

    def test_one_wrong_endpoint_among_right_ones_is_passed_over(self) -> None:
        members = self.useFixture(cluster.Cluster())
        for _ in range(4):
            store = stores.open_store(self, [self.web, *members.endpoints])
            store.client.here._preferred = 0
            store.get(["a"])
            store.client.here._preferred = 0
            store.lease(60)


class TestShared(testtools.TestCase):
    def test_what_others_write_to_the_same_etcd_delays_no_reader(self) -> None:
        """Their revisions are not ours, and no watch of ours hears of them."""
        members = self.useFixture(cluster.Cluster())
        ours = stores.open_store(self, members.endpoints)
        theirs = stores.open_store(self, members.endpoints)
        ours.commit([], [base.Put("a", b"")])
        with ours.watch("a", after=ours.revision()) as watch:
            for turn in range(10):
                theirs.commit([], [base.Put("a", b"")])
                revision = ours.revision()
                seen = 0
                while seen < revision:
                    batch = watch.poll(10)
                    assert batch is not None, f"turn {turn}: the watch never reaches {revision}"
                    self.assertEqual([], list(batch.changes))
                    seen = batch.revision
