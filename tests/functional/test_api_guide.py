"""The API guide's examples, run as they stand against a fresh ``apisvc-dev``."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from typing import Any

import fixtures
import testtools

from tests.functional import deployment

GUIDE = pathlib.Path(__file__).parents[2] / "doc" / "source" / "api" / "guide.rst"


def blocks(text: str) -> list[tuple[str, str]]:
    """The guide's code blocks as ``(language, text)``, in order."""
    found = re.findall(r"^\.\. code-block:: (\w+)\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return [
        (language, "\n".join(line[3:] for line in block.splitlines()).strip()) for language, block in found
    ]


def contains(actual: Any, expected: Any) -> bool:
    """Whether ``expected`` is part of ``actual``: its keys in objects, each of its items among those of a list."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            k in actual and contains(actual[k], v) for k, v in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(actual, list) and all(any(contains(a, e) for a in actual) for e in expected)
    return bool(actual == expected)


class ApiGuideTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        code = "import sys; from apisvc.commands.dev import main; sys.exit(main())"
        self.dev = subprocess.Popen(
            [sys.executable, "-c", code, "--ephemeral", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": self.useFixture(fixtures.TempDir()).path},
        )
        self.addCleanup(self.end)
        self.environment = dict(os.environ)
        assert self.dev.stdout is not None
        for line in self.dev.stdout:
            if "export" in line:
                found = dict(re.findall(r"(APISVC_\w+)=(\S+)", line))
                if "APISVC_URL" in found:
                    self.environment.update(found)
                else:  # the administrator's
                    self.environment["APISVC_ADMIN_TOKEN"] = found["APISVC_TOKEN"]
                    break
        self.assertIn("APISVC_ADMIN_TOKEN", self.environment)

    def end(self) -> None:
        self.dev.send_signal(signal.SIGINT)
        self.dev.communicate(timeout=30)

    def test_every_example(self) -> None:
        examples = blocks(GUIDE.read_text())
        self.assertTrue(len(examples) > 10)
        answer = ""
        for language, text in examples:
            if language == "sh":
                # A worker is at it meanwhile, so what the next block expects may take a moment.
                command = text
                answer = self.run_example(command)
                continue
            deployment.wait_for(
                f"{command}\nto answer\n{text}\nlast answer: {answer}",
                lambda text=text, command=command, language=language: self.shows(language, command, text),
                60,
            )

    def run_example(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
        )
        self.assertEqual(0, done.returncode, f"{command}\n{done.stderr}")
        self.last = done.stdout
        return done.stdout

    def shows(self, language: str, command: str, expected: str) -> bool:
        if language == "json":
            right = contains(json.loads(self.last), json.loads(expected))
        else:
            right = all(line.lower() in self.last.lower() for line in expected.splitlines())
        if not right and "-X" not in command:  # reading again does no harm
            self.run_example(command)
        return right
