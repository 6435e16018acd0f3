"""What holds for the tree as a whole: names, options, samples, release notes."""

import importlib.metadata
import importlib.util
import pathlib
import re
import subprocess
import sys
import tomllib

import fixtures
import testtools
from oslo_config import generator
from oslo_policy import generator as policy_generator

import apisvc
from apisvc import conf, plugins

TREE = pathlib.Path(apisvc.__file__).parent.parent


class TestNames(testtools.TestCase):
    def test_nothing_directly_under_apisvc_hides_a_module(self) -> None:
        """``cd apisvc && gunicorn main:app`` puts that folder first on the path."""
        ours = {path.stem for path in (TREE / "apisvc").iterdir() if path.is_dir() or path.suffix == ".py"}
        ours -= {"__init__", "__pycache__"}
        others = set(importlib.metadata.packages_distributions()) - {"apisvc"}
        self.assertEqual(set(), ours & set(sys.stdlib_module_names))
        self.assertEqual(set(), ours & others)

    def test_every_entry_point_leads_to_something(self) -> None:
        points = importlib.metadata.distribution("apisvc").entry_points
        self.assertIn("apisvc-dev", [point.name for point in points])
        for point in points:
            self.assertIsNotNone(point.load(), point)


class TestLayers(testtools.TestCase):
    """``lint-imports`` checks what pyproject.toml says; here, that it says something of every room."""

    def test_every_room_has_its_layer(self) -> None:
        contracts = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
        named = {part.strip().split(".")[1] for line in layers for part in re.split("[:|]", line)}
        rooms = {path.stem for path in (TREE / "apisvc").iterdir() if path.suffix == ".py" or path.is_dir()}
        # One stands beside the service, the other on everything: they have no layer.
        self.assertEqual(rooms - {"__init__", "__pycache__", "py", "client", "testing"}, named)
        for contract in contracts:
            for module in contract.get("source_modules", []):
                self.assertIsNotNone(importlib.util.find_spec(module), module)


class TestOptions(testtools.TestCase):
    def test_every_option_says_what_it_is(self) -> None:
        for group, options in [*conf.list_opts(), *plugins.list_opts()]:
            for option in options:
                self.assertTrue(
                    option.help and option.help.endswith("."),
                    f"[{group or 'DEFAULT'}] {option.name}: help must be sentences",
                )

    def test_groups_are_registered_once(self) -> None:
        names = [str(group or "DEFAULT") for group, _ in [*conf.list_opts(), *plugins.list_opts()]]
        self.assertEqual(sorted(set(names)), sorted(names))


class TestSamples(testtools.TestCase):
    """``tox -e genconfig`` and ``tox -e genpolicy`` write what is in etc/."""

    def setUp(self) -> None:
        super().setUp()
        self.written = pathlib.Path(self.useFixture(fixtures.TempDir()).path, "sample")

    def test_configuration(self) -> None:
        recipe = TREE / "etc/oslo-config-generator/apisvc.conf"
        generator.main(["--config-file", str(recipe), "--output-file", str(self.written)])
        kept, made = self._own(TREE / "etc/apisvc.conf.sample"), self._own(self.written)
        self.assertEqual(list(made), list(kept))
        for group in made:
            self.assertEqual(made[group], kept[group])

    def _own(self, path: pathlib.Path) -> dict[str, str]:
        """The text of each group; without what libraries have, which may be of another release here."""
        groups = re.split(r"^\[(\w+)\]$", path.read_text(), flags=re.MULTILINE)[1:]
        found = dict(zip(groups[::2], groups[1::2], strict=True))
        found["DEFAULT"] = found["DEFAULT"].split("# From oslo.log")[0]
        del found["oslo_policy"]
        return found

    def test_policy(self) -> None:
        recipe = TREE / "etc/oslo-policy-generator/apisvc.conf"
        policy_generator.generate_sample(["--config-file", str(recipe), "--output-file", str(self.written)])
        self.assertEqual((TREE / "etc/policy.yaml.sample").read_text(), self.written.read_text())


class TestServerSettings(testtools.TestCase):
    def test_gunicorn_takes_them(self) -> None:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "gunicorn",
                "--check-config",
                "-c",
                "etc/gunicorn.conf.py",
                "wsgiref.simple_server:demo_app",
            ],
            cwd=TREE,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
