"""``apisvc-manage adopt``: what runs on a backend already becomes instances."""

from apisvc.commands import assemble
from apisvc.conf import files
from apisvc.model import codec, instances, keys
from apisvc.service import context
from tests.unit.commands import manage_case


class TestAdopt(manage_case.ManageCase):
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
