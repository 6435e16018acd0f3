"""apisvc-manage and apisvc-status on a real store."""

import json

import testtools

from apisvc.commands import assemble, manage, status
from apisvc.conf import files
from apisvc.model import backends, codec, identity, instances, keys, tenants
from apisvc.service import context
from apisvc.storage import base as storage
from tests.unit import logs
from tests.unit.commands import deployment


class TestCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(logs.KeepLogging())
        self.here = self.useFixture(deployment.Deployment())

    def manage(self, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
        return self.here.run(manage.main, *argv, stdin=stdin)


class TestBootstrap(TestCase):
    def test_the_token_is_all_that_is_printed(self) -> None:
        code, out, err = self.manage("bootstrap")
        self.assertEqual(0, code, err)
        self.assertRegex(out, r"\Aapisvc_[A-Za-z0-9_-]{43}\n\Z")
        self.assertIn("Made the first key", err)

    def test_the_state_folder_is_made(self) -> None:
        self.here.config.write_text(f"[DEFAULT]\nstate_dir = {self.here.folder}/a/b\n")
        self.assertEqual(0, self.manage("bootstrap")[0])
        (self.here.folder / "file").write_text("")
        self.here.config.write_text(f"[DEFAULT]\nstate_dir = {self.here.folder}/file/b\n")
        code, _, err = self.manage("bootstrap")
        self.assertEqual((1, 1), (code, err.count("\n")), err)
        self.assertIn("[DEFAULT] state_dir = ", err)

    def test_again_there_is_no_second_token_unless_asked_for(self) -> None:
        first = self.manage("bootstrap")[1]
        code, out, err = self.manage("bootstrap")
        self.assertEqual((0, ""), (code, out))
        self.assertIn("--new-token", err)
        self.assertNotIn(self.manage("bootstrap", "--new-token")[1], ("", first))

    def test_no_key_is_made_for_a_store_that_was_written_with_others(self) -> None:
        self.manage("bootstrap")
        (self.here.folder / "keys").rename(self.here.folder / "elsewhere")
        code, _, err = self.manage("bootstrap", "--new-token")
        self.assertEqual(1, code)
        self.assertIn("copy it from another host", err)
        self.assertFalse((self.here.folder / "keys").exists())


class TestKeys(TestCase):
    def test_rotate_and_list(self) -> None:
        self.assertIn("for a new one: apisvc-manage bootstrap", self.manage("keys", "list")[2])
        self.assertEqual(0, self.manage("keys", "rotate")[0])
        self.assertEqual(0, self.manage("keys", "rotate")[0])
        lines = self.manage("keys", "list")[1].splitlines()
        self.assertEqual(
            [("1", "decrypts"), ("2", "encrypts")], [tuple(line.split("\t")[::2]) for line in lines]
        )

    def test_a_folder_that_cannot_be(self) -> None:
        (self.here.folder / "keys").write_text("a file")
        code, _, err = self.manage("keys", "rotate")
        self.assertEqual(1, code)
        self.assertIn("[secrets] key_directory = ", err)


class TestDump(TestCase):
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


class TestCheck(TestCase):
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


class TestStatus(TestCase):
    def check(self, *argv: str) -> tuple[int, str]:
        code, out, err = self.here.run(status.main, "upgrade", "check", *argv)
        return code, out + err

    def test_all_good(self) -> None:
        self.manage("bootstrap")
        code, out = self.check()
        self.assertEqual(0, code, out)
        self.assertIn("layout 1", out)

    def test_each_thing_that_is_wrong_is_shown(self) -> None:
        self.here.store().commit([], [storage.Put(keys.SCHEMA, b"7")])
        self.here.write("enabled_backends = east\n[worker]\nthreads = none\n")
        code, out = self.check("--json")
        self.assertEqual(2, code)
        found = {check["check"]: check for check in json.loads(out)["checks"]}
        self.assertIn("[worker] threads = none", found["Configuration"]["details"])
        self.assertIn("no group [east]", found["Plug-ins"]["details"])
        self.assertIn("apisvc-manage bootstrap", found["Encryption keys"]["details"])
        self.assertIn("data of layout 7", found["Store"]["details"])

    def test_what_needs_a_wrong_value_is_not_looked_at(self) -> None:
        self.manage("bootstrap")
        for group, option in (("api", "max_limit"), ("sqlite", "timeout"), ("worker", "threads")):
            with self.subTest(option):
                self.here.write(f"[{group}]\n{option} = lots\n")
                code, out = self.check("--json")
                self.assertEqual(2, code)
                found = {check["check"]: check for check in json.loads(out)["checks"]}
                self.assertEqual(7, len(found), "all of them are told")
                wrong = "\n".join(check["details"] or "" for check in found.values())
                self.assertIn(f"[{group}] {option} = lots in ", wrong)

    def test_a_backend_in_use_that_is_not_served(self) -> None:
        self.manage("bootstrap")
        # As before ledgers told where: the instances themselves are counted.
        ledger = tenants.Ledger(tenant_id="t", used=tenants.Amounts(instances=1))
        spec = instances.Spec(
            **dict.fromkeys(("image_id", "image", "image_ref", "flavor_id", "flavor"), "x"),
            backend="west",
            vcpus=1,
            ram_mb=1,
            disk_gb=1,
        )
        made = instances.Instance(
            id="i", tenant_id="t", name="n", spec=spec, created_at=1, updated_at=1, created_by="u"
        )
        self.here.store().commit(
            [],
            [
                storage.Put(keys.join(keys.LEDGERS, "t"), codec.encode(ledger)),
                storage.Put(keys.join(keys.INSTANCES, "t", "i"), codec.encode(made)),
            ],
        )
        code, out = self.check("--json")
        self.assertEqual(2, code)
        self.assertIn("lacks 'west', which still has 1 instance: ", json.loads(out)["checks"][-1]["details"])
        self.here.write("unserved_backends = west\n")
        self.assertEqual("west: 1", json.loads(self.check("--json")[1])["checks"][-1]["details"])

    def test_nothing_is_made_by_looking(self) -> None:
        self.manage("keys", "rotate")
        before = sorted(self.here.folder.rglob("*"))
        code, out = self.check()
        self.assertEqual(0, code, out)
        self.assertIn("not begun yet", out)
        self.assertEqual((1, 1), (self.manage("store", "check")[0], self.manage("store", "dump", "-")[0]))
        self.assertEqual(
            before, [each for each in sorted(self.here.folder.rglob("*")) if "sqlite" not in each.name]
        )

    def test_what_means_nothing_is_a_warning(self) -> None:
        self.manage("bootstrap")
        self.here.write("[api]\nmax_limt = 3\n[wroker]\nthreads = 2\n")
        code, out = self.check("--json")
        self.assertEqual(1, code)
        details = json.loads(out)["checks"][0]["details"]
        self.assertIn("[api] max_limt in ", details)
        self.assertIn("[wroker] in ", details)
        valid = details.rpartition("Valid: ")[2].split(", ")
        self.assertIn("worker", valid)
        self.assertEqual(sorted(set(valid)), sorted(valid), "each is named once")

    def test_a_damaged_file_is_found(self) -> None:
        self.manage("bootstrap")
        file = self.here.folder / "apisvc.sqlite"
        size = file.stat().st_size
        with file.open("r+b") as raw:
            raw.seek(size - 8192)
            raw.write(b"\xa5" * 4096)
        code, out = self.check("--json")
        self.assertEqual(2, code)
        self.assertIn("is damaged (", out)
        self.assertEqual(1, self.manage("store", "check")[0])

    def test_a_record_that_this_release_cannot_read_is_a_warning(self) -> None:
        self.manage("bootstrap")
        self.here.store().commit([], [storage.Put(keys.join(keys.USERS, "u1"), b"not json")])
        code, out = self.check("--json")
        self.assertEqual(1, code)
        self.assertIn("The first: users/u1: ", json.loads(out)["checks"][-2]["details"])

    def test_options_are_taken_before_and_after_the_command(self) -> None:
        self.assertEqual(2, status.main(["upgrade", "check", "--config-file", "/nonesuch"]))
        self.assertEqual(2, status.main(["--config-file", "/nonesuch", "upgrade", "check"]))
        self.assertEqual(1, manage.main(["keys", "list", "--config-file", "/nonesuch"]))


class TestStoreOfOneProcess(TestCase):
    def test_it_serves_no_deployment(self) -> None:
        self.here.write("[storage]\ndriver = memory\n")
        for argv in (["bootstrap"], ["store", "check"]):
            code, _, err = self.manage(*argv)
            self.assertEqual(1, code)
            self.assertIn("[storage] driver = memory: it keeps everything inside one process", err)
            self.assertEqual(1, err.count("\n"))
        self.assertFalse((self.here.folder / "keys").exists())


class TestCompact(TestCase):
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


class TestMigrate(TestCase):
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


class TestAdopt(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.here.write(
            "enabled_backends = cloud, here\n"
            f"[cloud]\ndriver = fake\nstate_file = {self.here.folder}/cloud.sqlite\n[here]\ndriver = local\n"
        )
        self.manage("bootstrap")
        self.assembly = assemble.assemble(files.read(["--config-file", str(self.here.config)]))
        self.addCleanup(self.assembly.close)
        self.assembly.services.tenants.create(context.system(), name="acme", quota={"instances": 2})
        for handle in ("vm-1", "vm-2", "vm-3"):
            self.assembly.backends["cloud"].driver.add_stray(handle, place="attic")

    def adopt(self, *argv: str) -> tuple[int, str, str]:
        return self.manage("adopt", "--backend", "cloud", "--tenant", "acme", *argv)

    def names(self) -> list[str]:
        store = self.here.store()
        return [
            codec.decode(record.value, instances.Instance).name
            for record in store.scan(keys.INSTANCES).records
        ]

    def test_without_handles_it_lists_what_there_is(self) -> None:
        code, out, err = self.adopt()
        self.assertEqual(0, code, err)
        self.assertRegex(out, r"\AHANDLE +NAME +STATE +IMAGE +VCPUS +RAM_MB +DISK_GB +FLAVOR +PLACE\n")
        self.assertRegex(out, r"\nvm-1 +vm-1 +running +busybox +1 +100 +1 +- +attic\n")
        self.assertIn("3 that could be adopted", err)

    def test_a_dry_run_changes_nothing(self) -> None:
        code, out, _ = self.adopt("--dry-run", "vm-1")
        self.assertEqual((0, []), (code, self.names()))
        self.assertIn("vm-1 would become instance vm-1 (instances 1, vcpus 1", out)

    def test_what_is_named_becomes_instances_as_far_as_the_quota_goes(self) -> None:
        code, out, err = self.adopt("vm-1", "vm-2", "vm-3", "vm-9")
        self.assertEqual((1, ["vm-1", "vm-2"]), (code, self.names()))
        self.assertRegex(out, r"vm-1 is instance [0-9a-f-]{36} vm-1 now \(instances 1")
        self.assertIn("vm-3: The quota of the tenant does not allow this", err)
        self.assertIn("vm-9: nothing on backend 'cloud'", err)
        self.assertEqual(0, self.manage("store", "check")[0])

    def test_again_it_is_done_already(self) -> None:
        self.adopt("vm-1")
        code, out, err = self.adopt("vm-1")
        self.assertEqual((0, ["vm-1"]), (code, self.names()), err)
        self.assertRegex(out, r"vm-1 is instance [0-9a-f-]{36} already")
        self.assertNotIn("vm-1 ", self.adopt()[1])

    def test_what_is_not_there(self) -> None:
        for argv, word in (
            (("--backend", "cloud", "--tenant", "none"), "'none'"),
            (("--backend", "north", "--tenant", "acme"), "cloud, here"),
            (("--backend", "here", "--tenant", "acme"), "lacks 'adopt'"),
        ):
            code, _, err = self.manage("adopt", *argv)
            self.assertEqual((1, 1), (code, err.count("\n")), err)
            self.assertIn(word, err)
