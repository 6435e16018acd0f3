"""A tree that is not installed gets the entry points that an installation has."""

import importlib.metadata
import os
import pathlib
import shutil

import fixtures
import testtools

from apisvc.commands import checkout

SETUP = pathlib.Path(__file__).parents[3] / "setup.cfg"


class TestCheckout(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.tree = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.folder = self.tree / "apisvc.egg-info"
        self.installed = False
        self.useFixture(
            fixtures.MonkeyPatch("apisvc.commands.checkout._is_installed", lambda _: self.installed)
        )

    def prepare(self) -> None:
        checkout.prepare(self.tree, installed=lambda folder: self.installed)

    def test_it_gets_what_an_installation_has(self) -> None:
        shutil.copy(SETUP, self.tree)
        self.prepare()
        (found,) = importlib.metadata.distributions(name="apisvc", path=[str(self.tree)])
        ours = importlib.metadata.distribution("apisvc")

        def listed(distribution: importlib.metadata.Distribution) -> set[tuple[str, str, str]]:
            return {(point.group, point.name, point.value) for point in distribution.entry_points}

        self.assertEqual(listed(ours), listed(found))
        self.assertEqual(ours.version, found.version)

    def test_it_is_written_again_only_when_setup_cfg_changed(self) -> None:
        setup = pathlib.Path(shutil.copy(SETUP, self.tree))
        os.utime(setup, (1000, 1000))
        self.prepare()
        (self.folder / "entry_points.txt").write_text("")
        self.prepare()
        self.assertEqual("", (self.folder / "entry_points.txt").read_text())
        os.utime(self.folder / "entry_points.txt", (999, 999))
        self.prepare()
        self.assertIn("apisvc-dev", (self.folder / "entry_points.txt").read_text())

    def test_an_installation_is_left_alone(self) -> None:
        self.prepare()
        self.assertFalse(self.folder.exists())
        shutil.copy(SETUP, self.tree)
        self.installed = True
        self.prepare()
        self.assertFalse(self.folder.exists())

    def test_a_tree_that_cannot_be_written(self) -> None:
        shutil.copy(SETUP, self.tree)
        self.folder.write_text("in the way")
        end = self.assertRaises(SystemExit, self.prepare)
        self.assertIn("install it: pip install .", str(end.code))
