"""Trouble that people have to mend, as clients and operators of the service see it: 503, a line, and no restart."""

import pathlib

import fixtures

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import protocol
from tests.functional import deployment
from tests_etcd import administration, certificates, cluster, stores, test_outage

TENANT = test_outage.TENANT
INSTANCES = f"{TENANT}/instances"


class TroubleCase(test_outage.Timed):
    request_timeout = 3.0

    def refused(self, *asked: tuple[str, str, object], line: str) -> None:
        """All of it is answered 503 in time, and the log says why."""
        for method, path, body in asked:
            answer = deployment.wait_for(
                f"{method} {path} is refused",
                lambda asked=(method, path, body): (
                    (found := self.timed(*asked)[0]).status_code == 503 and [found]
                ),
            )[0]
            self.assertEqual("apisvc.store.unavailable", answer.json()["code"])
        self.assertRegex(self.service.log("api.log"), line)
        self.assertEqual(200, self.timed("GET", "/healthcheck")[0].status_code)

    def served_again(self) -> None:
        """By the same processes."""
        before = self.processes
        for method, path, body, good in (
            ("GET", TENANT, None, 200),
            ("GET", "/readyz", None, 200),
            ("POST", INSTANCES, test_outage.INSTANCE, 202),
        ):
            deployment.wait_for(
                f"{method} {path} is served",
                lambda asked=(method, path, body), good=good: self.timed(*asked)[0].status_code == good,
            )
        self.assertEqual(before, self.service.api_processes(), self.service.log("api.log"))

    def setUp(self) -> None:
        super().setUp()
        self.visit()
        self.processes = self.service.api_processes()


READ = ("GET", TENANT, None)
READY = ("GET", "/readyz", None)
WRITE = ("POST", INSTANCES, test_outage.INSTANCE)


class TestNoSpace(TroubleCase):
    def make_cluster(self) -> cluster.Cluster:
        return cluster.Cluster(options=("--quota-backend-bytes", str(8 * 1024 * 1024)))

    def test_writes_are_refused_and_reads_go_on(self) -> None:
        other = stores.open_store(self, self.cluster.endpoints)  # of another deployment
        with self.assertRaisesRegex(errors.StoreUnavailable, "no space left"):
            for turn in range(100):
                other.commit([], [base.Put("big", bytes(500_000 + turn))])
        self.refused(WRITE, READY, line="etcd has no space left: compact, defragment, then clear")
        # No watch can reach what the other wrote last; but the copy can be loaded.
        deployment.wait_for("reads go on", lambda: self.timed(*READ)[0].status_code == 200)

        other.compact(other.revision())
        administrator = administration.Administrator(self.cluster.members[0])
        etcd = protocol.load()

        def cleared() -> bool:
            administrator.call("Maintenance/Defragment", b"")
            told = administrator.call(
                "Maintenance/Alarm", etcd.AlarmRequest(action="GET").SerializeToString()
            )
            for alarm in etcd.AlarmResponse.FromString(told).alarms:
                clear = etcd.AlarmRequest(action="DEACTIVATE", memberID=alarm.memberID, alarm=alarm.alarm)
                administrator.call("Maintenance/Alarm", clear.SerializeToString())
            return self.timed(*WRITE)[0].status_code == 202

        # The compaction goes on in the background, and only what it has done can be given back.
        deployment.wait_for("there is space again", cleared)
        self.served_again()


class TestRights(TroubleCase):
    def access(self) -> dict[str, object]:
        self.root = administration.Administrator(self.cluster.members[0])
        self.root.add_user("apisvc")
        self.root.add_role("apisvc")
        self.root.permit("apisvc", "/apisvc")
        self.root.grant("apisvc", "apisvc")
        self.root.enable()
        return {"user": "apisvc", "password": self.root.password}

    def test_a_user_that_is_removed_and_comes_back(self) -> None:
        self.root.log_in()
        self.root.remove_user("apisvc")
        self.refused(READ, WRITE, READY, line="etcd refuses our user")
        self.root.log_in()
        self.root.add_user("apisvc")
        self.root.log_in()
        self.root.grant("apisvc", "apisvc")
        self.served_again()


class TestCertificates(TroubleCase):
    def make_cluster(self) -> cluster.Cluster:
        self.files = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.authority = certificates.Authority(self.files)
        return cluster.Cluster(tls=(self.authority.path, *self.authority.issue("member")))

    def access(self) -> dict[str, object]:
        certificate, key = self.authority.issue("apisvc")
        return {"ca_file": self.authority.path, "cert_file": certificate, "key_file": key}

    def restart_etcd(self) -> None:
        """With the certificate it has now; each client then shows its own anew."""
        self.cluster.stop()
        self.cluster.start(self.cluster.members[0])

    def test_ours_expires_and_is_renewed(self) -> None:
        self.authority.issue("apisvc", days=-1)
        self.restart_etcd()
        self.refused(READ, WRITE, READY, line="cert_file = .* expired on")
        self.authority.issue("apisvc")
        self.served_again()

    def test_that_of_the_member_expires_and_is_renewed(self) -> None:
        self.authority.issue("member", days=-1)
        self.restart_etcd()
        self.refused(READ, WRITE, READY, line="certificate has expired")
        self.authority.issue("member")
        self.restart_etcd()
        self.served_again()


class TestWrongEndpoint(TroubleCase):
    def test_what_answers_there_is_no_etcd(self) -> None:
        """As after a mistake in a proxy: something else has taken its port, and etcd comes back."""
        member = self.cluster.members[0]
        self.cluster.stop()
        host, port = member.address.split(":")
        with test_outage.another_server(host, int(port)):
            self.refused(READ, WRITE, READY, line=f"{member.address}")
        self.cluster.mend()
        self.served_again()
