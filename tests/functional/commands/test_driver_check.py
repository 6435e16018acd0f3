"""apisvc-driver-check as a command of its own, on what apisvc ships."""

import json
import subprocess
import sys
import unittest

MAIN = "import sys; from apisvc.commands.driver_check import main; sys.exit(main())"
WITHOUT_HYPOTHESIS = "import sys; sys.modules['hypothesis'] = None; " + MAIN


def check(*argv: str, program: str = MAIN) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True, timeout=300)


class TestDriverCheck(unittest.TestCase):
    def passed(self, *argv: str) -> dict[str, str]:
        done = check(*argv, "--json")
        self.assertEqual((0, ""), (done.returncode, done.stderr), done.stdout)
        document = json.loads(done.stdout)
        return {one["scenario"]: one["outcome"] for one in document["scenarios"]}

    def test_sqlite(self) -> None:
        found = self.passed("storage", "sqlite", "--match", "reopened", "--option", "synchronous=normal")
        self.assertIn("a_reopened_store_holds_everything", found)
        self.assertEqual({"passed"}, set(found.values()))

    def test_memory(self) -> None:
        self.assertEqual(
            {"passed", "unsupported"}, set(self.passed("storage", "memory", "--match", "watch").values())
        )

    def test_fake(self) -> None:
        found = self.passed("compute", "fake")
        # What others made is theirs to make: from the command line there is nothing to adopt.
        unsupported = {name for name, outcome in found.items() if outcome == "unsupported"}
        self.assertEqual({name for name in found if name.startswith("adopt_")}, unsupported)
        self.assertEqual({"passed"}, {found[name] for name in found.keys() - unsupported})

    def test_local(self) -> None:
        found = self.passed("compute", "local", "--option", "stop_grace=5", "--match", "exit")
        self.assertIn("exit_codes_are_kept", found)
        self.assertEqual({"passed"}, set(found.values()))

    def test_without_hypothesis(self) -> None:
        done = check("storage", "memory", program=WITHOUT_HYPOTHESIS)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertEqual(
            "apisvc-driver-check: the storage suite needs hypothesis, which comes with: "
            "pip install 'apisvc[testing]'\n",
            done.stderr,
        )
        self.assertEqual(
            0, check("compute", "fake", "--match", "nodes_are", program=WITHOUT_HYPOTHESIS).returncode
        )
