"""The folder of a development service, on which several processes may begin at once."""

import os
import pathlib
from unittest import mock

import fixtures
import testtools

from apisvc.commands import demo


class TestState(testtools.TestCase):
    def test_two_processes_write_the_configuration_at_once(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

        def meanwhile(handle: int) -> None:
            with mock.patch.object(os, "getpid", return_value=1), mock.patch.object(os, "fsync"):
                demo.State(folder).write_config("sqlite")

        with mock.patch.object(os, "fsync", side_effect=meanwhile):
            demo.State(folder).write_config("sqlite")
        self.assertEqual(["apisvc.conf"], os.listdir(folder))
        self.assertIn("[storage]\ndriver = sqlite\n", (folder / "apisvc.conf").read_text())
