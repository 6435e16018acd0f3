"""``apisvc-manage store ...`` on a real store: dumped and restored, checked, compacted, moved to another."""

from apisvc.commands import manage
from apisvc.model import backends, codec, identity, instances, keys, tenants
from apisvc.storage import base as storage
from tests.unit.commands import deployment, manage_case


class TestDump(manage_case.ManageCase):
    def setUp(self) -> None:
        super().setUp()
        self.manage("bootstrap")
        self.file = self.here.folder / "dump"
        store = self.here.store()
        store.commit([], [storage.Put(f"flavor-names/f{n:03}", b'"x"') for n in range(100)])
        store.commit([], [storage.Put("replays/odd", b"\xff\x00")])
        lease = store.lease(60)
        store.commit([], [storage.Put("claims/leased", b"{}", lease.id)])

    def restored(self):
        """A second, empty deployment."""
        return self.useFixture(deployment.Deployment())

    def test_what_was_dumped_is_restored(self) -> None:
        code, _, err = self.manage("store", "dump", str(self.file))
        self.assertEqual(0, code, err)
        other = self.restored()
        code, _, said = other.run(manage.main, "store", "restore", str(self.file))
        self.assertEqual(0, code, said)
        self.assertEqual(err.replace("Dumped", "Restored"), said)
        before = {r.key: r.value for r in self.here.store().scan("").records if r.lease is None}
        after = {r.key: r.value for r in other.store().scan("").records}
        self.assertEqual(before, after)
        self.assertIn("schema", after)

    def test_over_pipes(self) -> None:
        out = self.manage("store", "dump", "-")[1].encode()
        code, _, err = self.restored().run(manage.main, "store", "restore", "-", stdin=out)
        self.assertEqual(0, code, err)

    def test_a_store_with_something_in_it_is_refused(self) -> None:
        self.manage("store", "dump", str(self.file))
        code, _, err = self.manage("store", "restore", str(self.file))
        self.assertEqual(1, code)
        self.assertIn("The store is not empty", err)

    def test_cut_changed_or_foreign_dumps_are_refused_and_nothing_is_written(self) -> None:
        self.manage("store", "dump", str(self.file))
        good = self.file.read_bytes()
        other = self.restored()
        for bad, reason in (
            (good[:-200], "cut"),
            (b"\n".join(good.split(b"\n")[:-2]) + b"\n", "cut"),
            (good.replace(b'"x"', b'"y"', 1).replace(b'\\"x\\"', b'\\"y\\"', 1), "was changed"),
            (b'{"hello": 1}\n', "no dump of apisvc"),
            (b"hello\n", "no dump"),
            (b"", "cut"),
            (good.replace(b'"layout":1', b'"layout":99', 1), "newer release"),
            (good.replace(b'"apisvc_dump":1', b'"apisvc_dump":9', 1), "format 9"),
        ):
            self.file.write_bytes(bad)
            code, _, err = other.run(manage.main, "store", "restore", str(self.file))
            self.assertEqual(1, code, err)
            self.assertIn(reason, err)
            self.assertEqual(1, err.count("\n"), err)
        self.assertEqual([], list(other.store().scan("").records))

    def test_a_restore_that_did_not_finish_is_noticed(self) -> None:
        other = self.restored()
        other.store().commit([], [storage.Put("flavors/1", b"{}")])
        code, _, err = other.run(manage.main, "store", "check")
        self.assertEqual(1, code)
        self.assertIn("a restore into it did not finish", err)


class TestCheck(manage_case.ManageCase):
    def test_a_fresh_store_is_right(self) -> None:
        self.manage("bootstrap")
        code, out, _ = self.manage("store", "check")
        self.assertEqual(0, code, out)
        self.assertIn(" records, 0 wrong.", out)

    def test_what_is_wrong_is_told(self) -> None:
        self.manage("bootstrap")
        tenant = tenants.Tenant(id="t1", name="acme", quota=tenants.Amounts(), created_at=1, updated_at=1)
        ledger = tenants.Ledger(tenant_id="t1", used=tenants.Amounts(instances=3))
        self.here.store().commit(
            [],
            [
                storage.Put(keys.join(keys.TENANTS, "t1"), codec.encode(tenant)),
                storage.Put(keys.join(keys.LEDGERS, "t1"), codec.encode(ledger)),
                storage.Put(keys.join(keys.FLAVOR_NAMES, "big"), codec.encode("f1")),
                storage.Put("odds/1", b"1"),
                storage.Put(keys.join(keys.USERS, "u1"), b"not json"),
            ],
        )
        code, out, _ = self.manage("store", "check")
        self.assertEqual(1, code)
        self.assertIn('tenant-names/acme: the records say "t1", it is nothing', out)
        self.assertIn('flavor-names/big: the records say nothing, it is "f1"', out)
        self.assertIn('ledgers/t1: the instances take {"tenant_id":"t1","used":{"instances":0,', out)
        self.assertIn("odds/1: this release knows no such record", out)
        self.assertIn("users/u1: ", out)

    def test_what_speaks_of_something_that_is_not_there_is_told(self) -> None:
        self.manage("bootstrap")
        claim = backends.Claim(worker_id="w1", at=1)
        member = tenants.Member(
            tenant_id="t1", user_id="u1", role=identity.Role.READER, created_at=1, updated_at=1
        )
        stone = instances.Tombstone(instance_id="i2", tenant_id="t1", backend="b", at=1)
        self.here.store().commit(
            [],
            [
                storage.Put(keys.join(keys.CLAIMS, "i1"), codec.encode(claim)),
                storage.Put(keys.join(keys.MEMBERS, "t1", "u1"), codec.encode(member)),
                storage.Put(keys.join(keys.TOMBSTONES, "i2"), codec.encode(stone)),
                storage.Put(keys.join(keys.INSTANCE_TENANTS, "i2"), codec.encode("t1")),
            ],
        )
        code, out, _ = self.manage("store", "check")
        self.assertEqual(1, code)
        for line in (
            "claims/i1: there is no workers/w1",
            "claims/i1: there is no instance-tenants/i1",
            "members/t1/u1: there is no tenants/t1",
            "members/t1/u1: there is no users/u1",
            "tombstones/i2: the instance is there",
        ):
            self.assertIn(line, out)


class TestStoreOfOneProcess(manage_case.ManageCase):
    def test_it_serves_no_deployment(self) -> None:
        self.here.write("[storage]\ndriver = memory\n")
        for argv in (["bootstrap"], ["store", "check"]):
            code, _, err = self.manage(*argv)
            self.assertEqual(1, code)
            self.assertIn("[storage] driver = memory: it keeps everything inside one process", err)
            self.assertEqual(1, err.count("\n"))
        self.assertFalse((self.here.folder / "keys").exists())


class TestCompact(manage_case.ManageCase):
    def setUp(self) -> None:
        super().setUp()
        self.assertIn("nothing to compact", self.manage("store", "compact")[2])
        self.manage("bootstrap")
        self.first = self.here.store().commit([], [storage.Put("odds/1", b"1")])
        self.last = self.here.store().commit([], [storage.Put("odds/1", b"2")])

    def past(self, revision: int) -> list[bytes]:
        return [record.value for record in self.here.store().scan("odds/", revision=revision).records]

    def test_up_to_a_revision(self) -> None:
        code, _, err = self.manage("store", "compact", "--revision", str(self.first))
        self.assertEqual((0, f"The history before revision {self.first} is forgotten.\n"), (code, err))
        self.assertEqual([b"1"], self.past(self.first))
        self.assertRaises(storage.Compacted, self.past, self.first - 1)

    def test_all_of_it(self) -> None:
        self.assertEqual(0, self.manage("store", "compact")[0])
        self.assertRaises(storage.Compacted, self.past, self.first)
        self.assertEqual([b"2"], self.past(self.last))

    def test_a_revision_that_is_none(self) -> None:
        for revision in (self.last + 1, -1):
            code, _, err = self.manage("store", "compact", "--revision", str(revision))
            self.assertEqual(1, code)
            self.assertIn(f"the store is at {self.last}; valid: 0 to {self.last}", err)


class TestMigrate(manage_case.ManageCase):
    def setUp(self) -> None:
        super().setUp()
        self.manage("bootstrap")
        self.other = self.useFixture(deployment.Deployment())

    def migrate(self, *more: str) -> tuple[int, str]:
        code, out, err = self.manage("store", "migrate", "--to-config", str(self.other.config), *more)
        self.assertEqual("", out)
        return code, err

    def content(self, here: deployment.Deployment) -> dict[str, bytes]:
        return {record.key: record.value for record in here.store().scan("").records}

    def test_the_other_store_is_the_same_and_sound(self) -> None:
        code, err = self.migrate()
        self.assertEqual(0, code, err)
        self.assertRegex(
            err, r"\ACopied \d+ records and the layout version; SHA-256 [0-9a-f]{64} in both stores\.\n\Z"
        )
        self.assertEqual(self.content(self.here), self.content(self.other))
        code, out, _ = self.other.run(manage.main, "store", "check")
        self.assertEqual(0, code, out)

    def test_a_store_into_itself_or_into_one_in_use(self) -> None:
        for config in (self.here.config, self.other.config):
            self.migrate()
            code, _, err = self.manage("store", "migrate", "--to-config", str(config))
            self.assertEqual(
                (1, "apisvc-manage: The target is not empty; this wants a new one.\n"), (code, err)
            )

    def test_a_live_worker(self) -> None:
        store = self.here.store()
        worker = backends.Worker(id="w", host="here", pid=42, started_at=1.0, backends=())
        store.commit([], [storage.Put("workers/w", codec.encode(worker), store.lease(60).id)])
        code, err = self.migrate()
        self.assertEqual(1, code)
        self.assertIn("Workers are alive", err)
        self.assertEqual(0, self.migrate("--force")[0])

    def test_a_configuration_that_cannot_be(self) -> None:
        self.other.write("[storage]\ndriver = paper\n")
        self.assertIn("no plug-in 'paper' in apisvc.storage", self.migrate()[1])
        self.other.config.unlink()
        self.assertIn("configuration file not found", self.migrate()[1])
