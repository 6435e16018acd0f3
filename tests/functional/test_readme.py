"""What the README says to a newcomer, done as it stands: installed from a plain copy, started, tried."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from tests.functional import scratch
from tests.functional.commands import running

RUN = ".venv/bin/apisvc-dev"


def commands(heading: str) -> list[str]:
    """The lines of the first block of code under a heading of the README."""
    text = (running.TREE / "README.md").read_text()
    found = re.search(rf"^## {heading}\n.*?^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1].splitlines()


class ReadmeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="apisvc-readme-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.copy = cls.folder / "apisvc"
        cls.python = scratch.install(running.TREE, cls.copy, cls.copy / ".venv", beside=())
        # What is run is what was installed, not what lies in the folder that it is run in.
        cls.installed = scratch.output(
            cls.python, "-P", "-c", "import apisvc; print(apisvc.__file__)"
        ).strip()
        cls.dev = running.Dev(cls.folder / "state")
        cls.dev.setUp()
        cls.addClassCleanup(cls.dev.cleanUp)

    def test_the_two_commands_are_what_is_tested(self) -> None:
        made = "python3 -m venv .venv && .venv/bin/pip install"
        self.assertEqual([f"{made} . && {RUN}"], commands("Run it"))
        self.assertEqual([f"{made} tox && .venv/bin/tox"], commands("Test it"))
        self.assertIn(f"{made} -q tox && .venv/bin/tox", (running.TREE / ".ci" / "run").read_text())

    def test_all_of_it_is_installed_without_git(self) -> None:
        self.assertFalse((self.copy / ".git").exists())
        self.assertTrue(self.installed.startswith(str(self.copy / ".venv")), self.installed)
        package = pathlib.Path(self.installed).parent
        wanted = {
            path.relative_to(running.TREE / "apisvc")
            for path in (running.TREE / "apisvc").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        self.assertEqual(set(), {path for path in wanted if not (package / path).is_file()})
        for name in ("apisvc", "apisvc-worker", "apisvc-manage", "apisvc-status", "apisvc-driver-check"):
            said = scratch.output(str(self.copy / ".venv" / "bin" / name), "--version")
            self.assertRegex(said, r"\d+\.\d+")

    def test_what_is_to_try_works(self) -> None:
        self.dev.start(cwd=self.copy, command=(str(self.copy / RUN),))
        self.addCleanup(self.dev.stop)
        said = self.dev.said()
        export = re.search(r"^ +export (.*APISVC_URL=.*)$", said, re.MULTILINE)
        assert export, said
        environ = {**os.environ, **dict(pair.split("=", 1) for pair in export[1].split())}
        lines = commands("Try it")
        self.assertEqual(3, len(lines))
        for line in lines:
            if "--follow" in line:
                self.follow(line, environ)
            else:
                scratch.output("bash", "-c", line, cwd=self.copy, env=environ)
        listed = scratch.output(
            ".venv/bin/apisvc", "instance", "list", "-f", "json", cwd=self.copy, env=environ
        )
        self.assertEqual([], json.loads(listed))

    def follow(self, line: str, environ: dict[str, str]) -> None:
        """It goes on until it is ended."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.copy, env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            self.assertRegex(process.stdout.readline() + process.stdout.readline(), r"\d\d:\d\d:\d\d")
            self.assertIsNone(process.poll())
        finally:
            process.terminate()
            process.communicate(timeout=60)
