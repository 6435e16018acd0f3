"""TLS and authentication: what works, and how it is said that something does not."""

import pathlib
import time
import unittest

import fixtures
import testtools
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.etcd import driver
from tests.functional import deployment
from tests_etcd import administration, certificates, cluster, stores


def complaint(store: base.Store) -> str:
    """What the store says that is wrong, or nothing."""
    try:
        store.ping()
    except errors.StoreUnavailable as error:
        return error.detail
    return ""


def works(store: base.Store) -> bool:
    return not complaint(store)


class TestTls(testtools.TestCase):
    """A member that speaks TLS and asks for a client's certificate."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.authority = certificates.Authority(self.folder)
        self.files = self.authority.issue("member")
        self.cluster = self.useFixture(cluster.Cluster(tls=(self.authority.path, *self.files)))

    def open_store(self, ca_file: str, files: tuple[str, str] | tuple[None, None]) -> driver.EtcdStore:
        return stores.open_store(
            self, self.cluster.endpoints, ca_file=ca_file, cert_file=files[0], key_file=files[1], timeout=3.0
        )

    def refused(self, store: base.Store, expected: str) -> None:
        begun = time.monotonic()
        error = self.assertRaises(errors.StoreUnavailable, store.ping)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertRegex(error.detail, expected)

    def test_with_a_certificate_it_works(self) -> None:
        store = self.open_store(self.authority.path, self.authority.issue("apisvc"))
        store.ping()
        revision = store.commit([], [base.Put("a", b"1")])
        with store.watch("", after=revision - 1) as watch:
            batch = watch.poll(10)
        assert batch is not None
        self.assertEqual(["a"], [change.key for change in batch.changes])
        store.lease(60).keep_alive()

    def test_one_channel_for_each_of_several_members(self) -> None:
        many = self.useFixture(cluster.Cluster(3, tls=(self.authority.path, *self.files)))
        certificate, key = self.authority.issue("apisvc")
        for _ in range(3):
            store = stores.open_store(
                self, many.endpoints, ca_file=self.authority.path, cert_file=certificate, key_file=key
            )
            store.commit([], [base.Put("a", b"")])

    def test_without_one(self) -> None:
        self.refused(
            self.open_store(self.authority.path, (None, None)), "no cert_file is set, and the member may ask"
        )

    def test_with_one_that_has_expired(self) -> None:
        store = self.open_store(self.authority.path, self.authority.issue("expired", days=-1))
        self.refused(store, r"cert_file = .*-expired.crt expired on \d{4}-\d\d-\d\d at")

    def test_one_that_has_expired_is_renewed(self) -> None:
        """In the same files; no restart is needed, and no reload."""
        certificate, key = self.authority.issue("renewed", days=-1)
        store = self.open_store(self.authority.path, (certificate, key))
        self.refused(store, "expired on")
        self.authority.issue("renewed")
        deployment.wait_for("the renewed one is used", lambda: works(store))

    def test_one_that_nobody_signed(self) -> None:
        stranger = certificates.Authority(self.folder, "stranger").issue("apisvc")
        self.refused(
            self.open_store(self.authority.path, stranger), "may not accept cert_file = .*stranger-apisvc"
        )

    def test_a_member_of_which_it_has_expired_and_is_renewed(self) -> None:
        """As is that of the member; what tells is the verification here."""
        self.cluster.stop()
        self.authority.issue("member", days=-1)
        self.cluster.start(self.cluster.members[0])
        store = self.open_store(self.authority.path, self.authority.issue("apisvc"))
        deployment.wait_for("it is told", lambda: "certificate has expired" in complaint(store))
        self.cluster.stop()
        self.authority.issue("member")
        self.cluster.start(self.cluster.members[0])
        deployment.wait_for("it is trusted again", lambda: works(store))

    def test_a_member_of_another_authority(self) -> None:
        other = certificates.Authority(self.folder, "other")
        store = self.open_store(other.path, self.authority.issue("apisvc"))
        self.refused(store, "CERTIFICATE_VERIFY_FAILED")

    def test_plain_where_tls_is_spoken(self) -> None:
        endpoints = [endpoint.replace("https", "http") for endpoint in self.cluster.endpoints]
        self.refused(stores.open_store(self, endpoints, timeout=3.0), "etcd")

    def test_files_that_are_not_there(self) -> None:
        store = self.open_store(str(self.folder / "missing.crt"), (None, None))
        self.refused(store, r"\[etcd\] ca_file = .*missing.crt: No such file")

    def test_files_that_come_later(self) -> None:
        """No restart is needed."""
        certificate, key = self.authority.issue("late")
        late = self.folder / "new.crt"
        store = self.open_store(self.authority.path, (str(late), key))
        self.refused(store, "new.crt")
        late.write_bytes(pathlib.Path(certificate).read_bytes())
        store.ping()

    def test_files_that_cannot_be_used(self) -> None:
        certificate, key = self.authority.issue("apisvc")
        other, _ = self.authority.issue("other")
        empty, locked = self.folder / "empty", self.folder / "locked"
        empty.write_bytes(b"")
        locked.write_bytes(
            rsa.generate_private_key(65537, 2048).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        for authority, files, line in (
            (str(empty), (certificate, key), r"ca_file = .*empty: no certificate in PEM"),
            (self.authority.path, (str(empty), key), r"cert_file = .*empty: no certificate in PEM"),
            (self.authority.path, (certificate, str(empty)), r"key_file = .*empty: no private key in PEM"),
            (self.authority.path, (certificate, str(locked)), r"key_file = .*locked: .* without a password"),
            (self.authority.path, (other, key), r"key_file = .* is not the key of the one in cert_file"),
        ):
            self.refused(self.open_store(authority, files), rf"\[etcd\] {line}")

    def test_files_that_are_just_being_written(self) -> None:
        certificate, key = self.authority.issue("renewed", days=-1)
        store = self.open_store(self.authority.path, (certificate, key))
        self.refused(store, "expired on")
        pathlib.Path(key).write_bytes(b"")
        deployment.wait_for("it is told", lambda: "key_file" in complaint(store))
        self.authority.issue("renewed")
        deployment.wait_for("the renewed one is used", lambda: works(store))


class TestAuthentication(unittest.TestCase):
    """A member with users, and tokens that last three seconds and die with any change of users and roles."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = fixtures.TempDir()
        folder.setUp()
        cls.addClassCleanup(folder.cleanUp)
        private, public = cls.write_keys(pathlib.Path(folder.path))
        cls.cluster = cluster.Cluster(
            options=("--auth-token", f"jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=3s")
        )
        cls.cluster.setUp()
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.root = administration.Administrator(cls.cluster.members[0])
        cls.root.enable()
        cls.root.add_role("apisvc")
        cls.root.permit("apisvc", "/apisvc")

    @staticmethod
    def write_keys(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
        key = rsa.generate_private_key(65537, 2048)
        private, public = folder / "private.pem", folder / "public.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return private, public

    def setUp(self) -> None:
        self.root.log_in()
        self.user = f"user-{self._testMethodName}"
        self.root.add_user(self.user)
        self.root.log_in()
        self.root.grant(self.user, "apisvc")

    def open_store(
        self, password: str = administration.Administrator.password, **overrides: object
    ) -> driver.EtcdStore:
        return stores.open_store(
            self, self.cluster.endpoints, "/apisvc", user=self.user, password=password, **overrides
        )

    def test_a_role_for_the_prefix_is_enough(self) -> None:
        store = self.open_store()
        store.ping()
        lease = store.lease(60)
        first = store.commit([base.Absent("alone")], [base.Put("alone", b"1", lease.id)])
        self.assertEqual([b"1"], [record.value for record in store.scan("alone").records])
        self.assertEqual(["alone"], list(store.get(["alone", "b"]).records))
        self.assertEqual(first, store.revision())
        with store.watch("", after=first - 1) as watch:
            batch = watch.poll(10)
            assert batch is not None
            self.assertEqual(["alone"], [change.key for change in batch.changes])
            lease.keep_alive()
            lease.revoke()
            batch = watch.poll(10)
            assert batch is not None
            self.assertEqual([None], [change.value for change in batch.changes])

    def test_tokens_are_renewed(self) -> None:
        store = self.open_store()
        store.get(["a"])
        old = store.client.here._token
        lease = store.lease(60)
        end = time.monotonic() + 30
        while store.client.here._token == old and time.monotonic() < end:
            store.get(["a"])
            lease.keep_alive()
        self.assertNotEqual(old, store.client.here._token)

    def test_a_change_of_roles_is_no_error(self) -> None:
        """etcd then refuses every token from before."""
        store = self.open_store()
        lease = store.lease(60)
        for turn in range(3):
            store.get(["a"])
            self.root.log_in()
            self.root.add_user(f"{self.user}-{turn}")
            store.commit([], [base.Put("a", b"")])
            self.root.log_in()
            self.root.add_role(f"{self.user}-{turn}")
            lease.keep_alive()

    def test_a_watch_goes_on_after_its_token_has_ended(self) -> None:
        store = self.open_store()
        with store.watch("", after=store.revision()) as watch:
            store.commit([], [base.Put("a", b"1")])
            assert watch.poll(10) is not None
            self.root.log_in()
            self.root.add_user(f"{self.user}-other")
            old = store.client.here._token
            deployment.wait_for(
                "a new token", lambda: store.get(["a"]) and store.client.here._token != old, 20
            )
            revision = store.commit([], [base.Put("a", b"2")])
            batch = watch.poll(10)
            assert batch is not None
            self.assertEqual([revision], [change.revision for change in batch.changes])

    def test_a_wrong_password(self) -> None:
        store = self.open_store("wrong")
        with self.assertRaisesRegex(errors.StoreUnavailable, "etcd refuses our user"):
            store.ping()
        with self.assertRaisesRegex(errors.StoreUnavailable, "etcd refuses our user"):
            store.watch("", after=1)

    def test_nobody_where_users_are_asked_for(self) -> None:
        store = stores.open_store(self, self.cluster.endpoints, "/apisvc")
        with self.assertRaisesRegex(errors.StoreUnavailable, "etcd refuses our user"):
            store.ping()

    def test_rights_that_are_taken_away_and_given_back(self) -> None:
        store = self.open_store()
        store.ping()
        self.root.log_in()
        self.root.remove_user(self.user)
        with self.assertRaisesRegex(errors.StoreUnavailable, "etcd refuses our user"):
            store.commit([], [base.Put("a", b"")])
        self.root.log_in()
        self.root.add_user(self.user)
        self.root.log_in()
        self.root.grant(self.user, "apisvc")
        store.commit([], [base.Put("a", b"")])

    def test_another_prefix_is_out_of_bounds(self) -> None:
        store = stores.open_store(
            self,
            self.cluster.endpoints,
            "/other",
            user=self.user,
            password=administration.Administrator.password,
        )
        with self.assertRaisesRegex(errors.StoreUnavailable, "permission denied"):
            store.get(["a"])
