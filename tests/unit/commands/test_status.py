"""``apisvc-status upgrade check`` on a real store."""

import json

from apisvc.commands import manage, status
from apisvc.model import codec, instances, keys, tenants
from apisvc.storage import base as storage
from tests.unit.commands import manage_case


class TestStatus(manage_case.ManageCase):
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
