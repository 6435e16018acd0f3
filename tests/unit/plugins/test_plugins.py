"""Each way a plug-in can be wrong is one line; one that nobody named does no harm."""

import pathlib

import fixtures
import stevedore
import testtools

from apisvc import errors, plugins
from apisvc.conf import files
from apisvc.storage import memory
from tests.unit.plugins import distributions

COMPUTE = """
    from oslo_config import cfg
    from apisvc.compute import base

    class Driver(base.ComputeDriver):
        contract = base.CONTRACT

        def __init__(self, backend):
            if backend.conf.speed == 13:
                raise ValueError("speed: 13 brings bad luck;\\n take another")
            if backend.conf.speed == 42:
                raise KeyError("answer")
            super().__init__(backend)

        @classmethod
        def options(cls):
            return [cfg.IntOpt("speed", default=3, min=1, help="How fast.")]

        def check(self, *, deadline): return base.Health()
        def ensure_tenant(self, tenant, *, deadline): return None
        def remove_tenant(self, tenant_id, *, deadline): return True
        def ensure(self, workload, *, deadline): raise base.NoCapacity()
        def observe(self, ids=None, *, deadline): return []
        def delete(self, instance_id, tenant_id, *, deadline): return True

    class Unlucky(Driver):
        @classmethod
        def options(cls):
            raise RuntimeError("no\\nluck")

    class Wordy(Driver):
        @classmethod
        def options(cls):
            return ["speed"]

    class TooOld(Driver):
        contract = "0.9"

    class TooNew(Driver):
        contract = "1.7"

    class Silent(Driver):
        contract = None

    class Half(base.ComputeDriver):
        contract = base.CONTRACT

        def check(self, *, deadline): return base.Health()
"""

ENTRY_POINTS = """
    [apisvc.compute]
    made-up = made_up_compute:Driver
    old = made_up_compute:TooOld
    new = made_up_compute:TooNew
    unlucky = made_up_compute:Unlucky
    wordy = made_up_compute:Wordy
    silent = made_up_compute:Silent
    half = made_up_compute:Half
    stranger = made_up_compute:cfg.IntOpt
    gone = made_up_nowhere:Driver
    broken = made_up_broken:Driver
    asserting = made_up_asserting:Driver
"""


class TestCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.distributions = self.useFixture(distributions.Distributions())
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger("apisvc"))

    def conf(self, text: str):
        file = self.folder / "apisvc.conf"
        file.write_text(text)
        return files.read(["--config-file", str(file)])

    def refused(self, call, *args) -> str:
        line = str(self.assertRaises(errors.StartError, call, *args))
        self.assertNotIn("\n", line)
        return line


class TestBackends(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.distributions.add(
            "made-up-compute",
            ENTRY_POINTS,
            {
                "made_up_compute": COMPUTE,
                "made_up_broken": "raise RuntimeError('no\\nluck')",
                "made_up_asserting": "assert False, 'never'",
            },
        )

    def backends(self, driver: str, more: str = ""):
        return plugins.load_backends(
            self.conf(f"[DEFAULT]\nenabled_backends = east\n[east]\ndriver = {driver}\n{more}")
        )

    def test_a_backend_has_the_options_of_its_own_group(self) -> None:
        conf = self.conf(
            "[DEFAULT]\nenabled_backends = west, east\nstate_dir = /somewhere\ndeployment = blue\n"
            "[east]\ndriver = made-up\nspeed = 8\n[west]\ndriver = made-up\n"
        )
        loaded = plugins.load_backends(conf)
        self.assertEqual(["west", "east"], list(loaded))
        east = loaded["east"]
        self.assertEqual("made-up", east.driver_name)
        self.assertEqual(8, east.driver.backend.conf.speed)
        self.assertEqual(3, loaded["west"].driver.backend.conf.speed)
        self.assertEqual("blue", east.driver.backend.owner)
        self.assertEqual("/somewhere/backends/east", east.driver.backend.state_dir)

    def test_unknown(self) -> None:
        line = self.refused(self.backends, "nonesuch")
        self.assertIn("[east] driver: no plug-in 'nonesuch' in apisvc.compute; installed: ", line)
        self.assertIn("made-up", line)

    def test_missing_module(self) -> None:
        line = self.refused(self.backends, "gone")
        self.assertIn(
            "apisvc.compute plug-in 'gone': found made_up_nowhere:Driver "
            "(distribution made-up-compute 1.2): it cannot be imported: ModuleNotFoundError: ",
            line,
        )

    def test_broken_module(self) -> None:
        self.assertIn("cannot be imported: RuntimeError: no luck;", self.refused(self.backends, "broken"))
        self.assertIn("cannot be imported: AssertionError: never;", self.refused(self.backends, "asserting"))

    def test_other_contract(self) -> None:
        self.assertIn("written for contract 0.9; valid: 1.0", self.refused(self.backends, "old"))
        self.assertIn("written for contract 1.7; valid: 1.0", self.refused(self.backends, "new"))
        self.assertIn("states no contract version", self.refused(self.backends, "silent"))

    def test_not_the_contract_class(self) -> None:
        self.assertIn(
            "it is no subclass of apisvc.compute.base.ComputeDriver", self.refused(self.backends, "stranger")
        )
        self.assertIn(
            "does not implement delete, ensure, ensure_tenant, observe, remove_tenant",
            self.refused(self.backends, "half"),
        )

    def test_listed_twice(self) -> None:
        self.distributions.add("rival", "[apisvc.compute]\nmade-up = made_up_compute:Driver\n")
        line = self.refused(self.backends, "made-up")
        self.assertIn("distribution made-up-compute 1.2) and ", line)
        self.assertIn("distribution rival 1.2)", line)
        self.assertIn("given twice", line)

    def test_a_stale_cache_of_stevedore(self) -> None:
        stevedore.ExtensionManager.ENTRY_POINT_CACHE["apisvc.compute"] = []
        self.assertIn("stevedore's cache does not know it", self.refused(self.backends, "made-up"))

    def test_group_missing(self) -> None:
        line = self.refused(plugins.load_backends, self.conf("[DEFAULT]\nenabled_backends = east\n"))
        self.assertIn("names 'east', but there is no group [east]; add it with 'driver'", line)

    def test_driver_missing(self) -> None:
        conf = self.conf("[DEFAULT]\nenabled_backends = east\n[east]\nspeed = 1\n")
        self.assertIn("[east] driver: is not set; valid: ", self.refused(plugins.load_backends, conf))

    def test_wrong_value(self) -> None:
        line = self.refused(self.backends, "made-up", "speed = fast")
        self.assertIn(f"[east] speed = fast in {self.folder}/apisvc.conf: ", line)
        self.assertTrue(line.endswith("valid: a whole number, at least 1"), line)

    def test_the_driver_itself_refuses(self) -> None:
        self.assertIn("[east] ", self.refused(self.backends, "made-up", "speed = 13"))
        self.assertIn(
            "'made-up': speed: 13 brings bad luck; take another",
            self.refused(self.backends, "made-up", "speed = 13"),
        )

    def test_the_driver_itself_fails(self) -> None:
        line = self.refused(self.backends, "made-up", "speed = 42")
        self.assertIn("apisvc.compute plug-in 'made-up': found made_up_compute:Driver", line)
        self.assertIn("it cannot be built: KeyError: 'answer'; installed: ", line)

    def test_its_options_fail(self) -> None:
        self.assertIn("its options() fails: RuntimeError: no luck;", self.refused(self.backends, "unlucky"))
        self.assertIn("its options() gives 'speed', which is no option", self.refused(self.backends, "wordy"))

    def test_unknown_option_warns(self) -> None:
        self.backends("made-up", "sped = 2")
        self.assertIn("[east] sped in ", self.log.output)
        self.assertIn("Valid: driver, speed", self.log.output)

    def test_names(self) -> None:
        for name in ("worker", "DEFAULT", "sqlite", "token", "oslo_policy"):
            conf = self.conf(f"[DEFAULT]\nenabled_backends = {name}\n[{name}]\n")
            self.assertIn(f"'{name}' cannot be a backend", self.refused(plugins.load_backends, conf))
        conf = self.conf("[DEFAULT]\nenabled_backends = a/b\n[a/b]\n")
        self.assertIn("'a/b' is no name for a backend", self.refused(plugins.load_backends, conf))
        conf = self.conf("[DEFAULT]\nenabled_backends = east,east\n[east]\ndriver = made-up\n")
        self.assertIn("'east' stands there twice", self.refused(plugins.load_backends, conf))


class TestOthers(TestCase):
    def test_store(self) -> None:
        store = plugins.load_store(self.conf("[storage]\ndriver = memory\n"))
        self.assertIsInstance(store, memory.MemoryStore)

    def test_unknown_store(self) -> None:
        line = self.refused(plugins.load_store, self.conf("[storage]\ndriver = paper\n"))
        self.assertIn("[storage] driver: no plug-in 'paper' in apisvc.storage; installed: ", line)
        self.assertIn("memory", line)

    def test_auth_and_routes_name_their_option(self) -> None:
        conf = self.conf("[auth]\ndrivers = badge\n[api]\nroutes = scenic\n")
        self.assertIn("[auth] drivers: no plug-in 'badge'", self.refused(plugins.load_auth, conf, None))
        self.assertIn("[api] routes: no plug-in 'scenic'", self.refused(plugins.load_routes, conf, None))

    def test_a_broken_one_that_nobody_named_is_not_touched(self) -> None:
        marker = self.folder / "imported"
        self.distributions.add(
            "bad-store",
            "[apisvc.storage]\nbad = made_up_store:Store\n",
            {"made_up_store": f"open({str(marker)!r}, 'w').close()\nraise RuntimeError\n"},
        )
        plugins.load_store(self.conf("[storage]\ndriver = memory\n"))
        self.assertFalse(marker.exists())
