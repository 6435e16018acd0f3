"""apisvc-driver-check on good drivers, broken ones, and wrong command lines."""

import contextlib
import io
import json

import fixtures
import testtools

from apisvc.commands import driver_check
from apisvc.compute import base as compute
from tests.unit import logs
from tests.unit.plugins import distributions

STORES = """
    from apisvc import errors
    from apisvc.storage import base, memory
    from apisvc.storage.sqlite import store

    class Careless(memory.MemoryStore):
        '''Looks at no guard.'''

        def commit(self, guards, writes, *, deadline=None):
            return super().commit([], writes, deadline=deadline)

    class Boastful(memory.MemoryStore):
        '''Says that it shares its data, and does not.'''

        shared = True

    class Blind(memory.MemoryStore):
        def scan(self, prefix, **more):
            raise RuntimeError("where\\nis it")

    class Away(memory.MemoryStore):
        def ping(self, *, deadline=None):
            raise errors.StoreUnavailable("Nobody is at home.")

    class File(store.SqliteStore):
        '''The one that comes with apisvc, under another name.'''
"""
STORE_POINTS = """
    [apisvc.storage]
    careless = made_up_stores:Careless
    boastful = made_up_stores:Boastful
    blind = made_up_stores:Blind
    away = made_up_stores:Away
    file = made_up_stores:File
"""

DRIVERS = """
    from apisvc.compute import base, fake

    class Mute(fake.FakeDriver):
        '''Declares logs and has none.'''

        def logs(self, instance_id, tenant_id, request, *, deadline):
            raise NotImplementedError

    class Plain(base.ComputeDriver):
        '''The core of the fake driver, without what it can do beyond.'''

        contract = base.CONTRACT

        @classmethod
        def options(cls):
            return fake.FakeDriver.options()

        def __init__(self, backend):
            super().__init__(backend)
            self._fake = fake.FakeDriver(backend)
            for name in ("check", "ensure_tenant", "remove_tenant", "ensure", "observe", "delete"):
                setattr(self, name, getattr(self._fake, name))

        check = ensure_tenant = remove_tenant = ensure = observe = delete = None
"""
DRIVER_POINTS = """
    [apisvc.compute]
    mute = made_up_drivers:Mute
    plain = made_up_drivers:Plain
"""
#: What the fake driver runs, for a driver that is made of it.
LIKE_FAKE = (
    *("--option", "state_file=$state_dir/fake.sqlite", "--patience", "5"),
    *("--running", '{"labels": {"fake.log": "one\\ntwo\\nthree"}}'),
    *("--exiting", '{"labels": {"fake.exit": "{code}"}}', "--invalid", '{"labels": {"fake.delay": "soon"}}'),
)


class TestCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(logs.KeepLogging())
        added = self.useFixture(distributions.Distributions())
        added.add("made_up_stores", STORE_POINTS, {"made_up_stores": STORES})
        added.add("made_up_drivers", DRIVER_POINTS, {"made_up_drivers": DRIVERS})

    def check(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = driver_check.main(argv)
            except SystemExit as end:
                code = end.code
        return code, out.getvalue(), err.getvalue()

    def document(self, *argv: str) -> tuple[int, dict]:
        code, out, err = self.check(*argv, "--json")
        self.assertEqual("", err)
        return code, json.loads(out)

    def outcomes(self, document: dict) -> dict[str, str]:
        return {one["scenario"]: one["outcome"] for one in document["scenarios"]}

    def refused(self, *argv: str, code: int = 1) -> str:
        got, out, err = self.check(*argv)
        self.assertEqual((code, ""), (got, out), err)
        line = err.splitlines()[-1]
        self.assertTrue(line.startswith("apisvc-driver-check"), err)
        if code == 1:
            self.assertEqual(1, err.count("\n"), err)
        return line


class TestStorage(TestCase):
    def test_a_table(self) -> None:
        code, out, err = self.check("storage", "memory", "--match", "guard*")
        self.assertEqual((0, ""), (code, err))
        self.assertRegex(out, r"\Astorage driver memory: apisvc.storage.memory:MemoryStore, contract 1\.0, ")
        self.assertRegex(out, r"\nSCENARIO +RESULT +REASON\n")
        self.assertRegex(out, r"\nguard_absent +passed\n")
        self.assertRegex(out, r"\nguards_hold_across_handles +unsupported  .*its data is not shared")
        self.assertIn("\nNOT RUN, by --match\n", out)
        self.assertIn("\n  delete\n", out)
        self.assertRegex(out, r"\n\d passed, 0 failed, 1 unsupported, \d\d not run\.\n\Z")

    def test_a_document(self) -> None:
        code, document = self.document("storage", "memory", "--match", "reopened")
        self.assertEqual(0, code)
        self.assertEqual(("storage", "memory"), (document["kind"], document["driver"]))
        self.assertIs(False, document["shared"])
        counts = document["counts"]
        self.assertEqual((0, 0, 2), (counts["passed"], counts["failed"], counts["unsupported"]))
        self.assertEqual(counts["not_run"], len(document["not_run"]))

    def test_each_scenario_begins_with_an_empty_store(self) -> None:
        code, document = self.document("storage", "file", "--match", "a_re")
        self.assertEqual(0, code, document)
        self.assertEqual("passed", self.outcomes(document)["a_reopened_store_holds_everything"])
        self.assertEqual("passed", self.outcomes(document)["a_record_knows_its_creation"])

    def test_a_driver_that_breaks_the_contract(self) -> None:
        code, out, _ = self.check("storage", "careless", "--match", "guard_absent")
        self.assertEqual(1, code)
        self.assertRegex(out, r"\nguard_absent +failed +Conflict not raised\n")
        self.assertIn("\nFAILED guard_absent\nTraceback ", out)
        self.assertIn("0 passed, 1 failed,", out)

    def test_a_part_of_the_contract_that_is_claimed_and_lacking(self) -> None:
        code, document = self.document("storage", "boastful", "--match", "guards_hold_across_handles")
        self.assertEqual((1, 1), (code, document["counts"]["failed"]))

    def test_drivers_that_cannot_be_judged(self) -> None:
        self.assertIn("Blind cannot even be asked", self.refused("storage", "blind"))
        self.assertIn("RuntimeError: where is it", self.refused("storage", "blind"))
        self.assertIn("Nobody is at home.", self.refused("storage", "away"))

    def test_a_store_with_something_in_it_is_left_alone(self) -> None:
        folder = self.useFixture(fixtures.TempDir()).path
        self._one_key(f"{folder}/file")
        line = self.refused("storage", "file", "--option", f"path={folder}/file", "--match", "delete")
        self.assertIn("the store is not empty (it holds 'precious')", line)

    def _one_key(self, path: str) -> None:
        import made_up_stores
        from oslo_config import cfg

        conf = cfg.ConfigOpts()
        conf.register_opts(made_up_stores.File.options(), group="file")
        conf.set_override("path", path, group="file")
        store = made_up_stores.File(conf.file)
        store.commit([], [made_up_stores.base.Put("precious", b"1")])
        store.close()

    def test_wrong_command_lines(self) -> None:
        self.assertIn(
            "NAME: no plug-in 'paper' in apisvc.storage; installed: ", self.refused("storage", "paper")
        )
        self.assertIn(
            "[sqlite] pth: no such option. Valid: path, synchronous, timeout",
            self.refused("storage", "sqlite", "--option", "pth=/x"),
        )
        line = self.refused("storage", "sqlite", "--option", "timeout=fast")
        self.assertIn("[sqlite] timeout = fast: ", line)
        self.assertNotIn("apisvc.conf", line)
        self.assertIn(
            "'path' is not KEY=VALUE", self.refused("storage", "sqlite", "--option", "path", code=2)
        )
        self.assertIn("invalid choice: 'auth'", self.refused("auth", "token", code=2))
        self.assertIn("no scenario has that", self.refused("storage", "memory", "--match", "zebra"))


class TestCompute(TestCase):
    def test_the_fake_driver_needs_no_options(self) -> None:
        code, document = self.document("compute", "fake", "--match", "a_new_driver")
        self.assertEqual((0, 1), (code, document["counts"]["passed"]), document)
        self.assertEqual(sorted(compute.CAPABILITIES), document["capabilities"])

    def test_a_capability_that_is_declared_and_lacking(self) -> None:
        code, document = self.document("compute", "mute", *LIKE_FAKE, "--match", "logs_whole")
        self.assertEqual(1, code)
        self.assertEqual({"logs_whole_and_tail": "failed"}, self.outcomes(document))
        self.assertIn("NotImplementedError", document["scenarios"][0]["reason"])

    def test_what_is_not_declared_is_unsupported(self) -> None:
        code, out, _ = self.check("compute", "plain", *LIKE_FAKE, "--match", "nodes_are")
        self.assertEqual(0, code, out)
        self.assertRegex(out, r"\nnodes_are_listed +unsupported +the driver does not declare nodes\n")

    def test_what_ends_by_itself_where_nothing_does(self) -> None:
        code, out, _ = self.check("compute", "fake", "--exiting", "null", "--match", "exit_codes")
        self.assertEqual(0, code, out)
        self.assertIn("nothing ends by itself on this backend", out)
        code, out, _ = self.check("compute", "plain", *LIKE_FAKE, "--match", "exit_codes")
        self.assertRegex(out, r"\nexit_codes_are_kept +passed\n")

    def test_wrong_command_lines(self) -> None:
        self.assertIn("NAME: no plug-in 'paper' in apisvc.compute", self.refused("compute", "paper"))
        self.assertIn("[check] speed: no such", self.refused("compute", "fake", "--option", "speed=1"))
        self.assertIn("[check] delay = soon: ", self.refused("compute", "fake", "--option", "delay=soon"))
        self.assertIn("is no JSON", self.refused("compute", "fake", "--running", "{", code=2))
        self.assertIn("fields of args, ", self.refused("compute", "fake", "--invalid", '{"a": 1}', code=2))
