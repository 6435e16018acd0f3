"""Configuration files are found where the docs say, and what is wrong in them is one line."""

import pathlib

import fixtures
import testtools
from oslo_config import cfg, types

from apisvc import errors
from apisvc.conf import files
from tests.unit import logs


class TestCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(logs.KeepLogging())
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.folder / "apisvc.conf"

    def read(self, text: str) -> cfg.ConfigOpts:
        self.file.write_text(text)
        return files.read(["--config-file", str(self.file)])

    def refused(self, text: str) -> str:
        line = str(self.assertRaises(errors.StartError, self.read, text))
        self.assertNotIn("\n", line)
        return line


class TestPlaces(TestCase):
    def test_the_environment_names_a_folder(self) -> None:
        self.file.write_text("[worker]\nthreads = 3\nlease_ttl = 20\n")
        more = self.folder / "apisvc.conf.d"
        more.mkdir()
        (more / "50-site.conf").write_text("[worker]\nthreads = 4\n")
        conf = files.read(environ={files.ENVIRONMENT: str(self.folder)})
        self.assertEqual((4, 20), (conf.worker.threads, conf.worker.lease_ttl))

    def test_the_command_line_comes_first(self) -> None:
        self.file.write_text("[worker]\nthreads = 3\n")
        other = self.folder / "other.conf"
        other.write_text("[worker]\nthreads = 5\n")
        conf = files.read(["--config-file", str(other)], environ={files.ENVIRONMENT: str(self.folder)})
        self.assertEqual(5, conf.worker.threads)

    def test_no_file_at_all_is_fine(self) -> None:
        self.assertEqual("sqlite", files.read(environ={}).storage.driver)

    def test_an_empty_folder_is_a_mistake(self) -> None:
        environ = {files.ENVIRONMENT: str(self.folder)}
        error = self.assertRaises(errors.StartError, files.read, environ=environ)
        self.assertEqual(f"APISVC_CONFIG_DIR={self.folder}: there is no file apisvc.conf in it", str(error))

    def test_missing_file_and_folder(self) -> None:
        error = self.assertRaises(errors.StartError, files.read, ["--config-file", "/nonesuch"])
        self.assertEqual("configuration file not found: /nonesuch", str(error))
        error = self.assertRaises(errors.StartError, files.read, ["--config-dir", "/nonesuch"])
        self.assertEqual("configuration folder not found: /nonesuch", str(error))


class TestValues(TestCase):
    def test_not_a_number(self) -> None:
        line = self.refused("[worker]\nthreads = many\n")
        self.assertTrue(line.startswith(f"[worker] threads = many in {self.file}: "), line)
        self.assertTrue(line.endswith("; valid: a whole number, at least 1"), line)

    def test_too_small(self) -> None:
        self.assertIn("[worker] lease_ttl = 1 in ", self.refused("[worker]\nlease_ttl = 1\n"))

    def test_pattern(self) -> None:
        self.assertIn("valid: text that matches ^[a-z0-9]", self.refused("[DEFAULT]\ndeployment = Blue!\n"))

    def test_a_state_folder_is_the_same_from_everywhere(self) -> None:
        self.assertIn("[DEFAULT] state_dir = here in ", self.refused("[DEFAULT]\nstate_dir = here\n"))

    def test_a_dollar_that_names_nothing(self) -> None:
        line = self.refused("[DEFAULT]\nstate_dir = /srv/$nope\n")
        self.assertTrue(line.startswith(f"[DEFAULT] state_dir = /srv/$nope in {self.file}: "), line)
        self.assertTrue(line.endswith("for the sign itself write $$"), line)

    def test_what_means_nothing_is_told(self) -> None:
        conf = self.read(
            "[DEFAULT]\nenable_backends = a\ndebug = true\n[api]\nmax_limt = 3\nmax_limit = 4\n[wroker]\nthreads = 3\n"
            "[east]\ndriver = fake\n[sqlite]\npath = x\n"
        )
        lines = files.stray(conf, ["sqlite"])
        self.assertEqual(
            ["[DEFAULT] enable_backends", "[api] max_limt", "[wroker]"],
            sorted(line.split(" in ")[0] for line in lines),
        )
        self.assertIn("max_limit", lines[[line.startswith("[api]") for line in lines].index(True)])

    def test_not_a_configuration_file(self) -> None:
        self.assertIn("configuration: ", self.refused("threads = 3\n"))

    def test_an_option_of_logging(self) -> None:
        self.assertIn("debug: Invalid Boolean value: perhaps", self.refused("[DEFAULT]\ndebug = perhaps\n"))
        conf = self.read("[DEFAULT]\nlog_config_append = /nonesuch\n")
        self.assertIn("/nonesuch", str(self.assertRaises(errors.StartError, files.start_logging, conf)))

    def test_required(self) -> None:
        conf = self.read("")
        option = cfg.StrOpt("endpoint", required=True, help="Where it is.")
        conf.register_opt(option, group="east")
        error = self.assertRaises(errors.StartError, files.check, conf, "east", [option])
        self.assertEqual(
            "[east] endpoint: is required and has no value; it is text: Where it is.", str(error)
        )

    def test_unknown_options_know_old_names(self) -> None:
        conf = self.read("[east]\nnew = 1\nold = 2\nodd = 3\n")
        option = cfg.IntOpt("new", deprecated_name="old", help="New.")
        self.assertEqual(
            [f"[east] odd in {self.file}: no such option; it is ignored. Valid: new"],
            files.unknown(conf, "east", [option]),
        )


class TestDescribe(testtools.TestCase):
    def test_words(self) -> None:
        for kind, words in (
            (types.Boolean(), "true or false"),
            (types.Integer(), "a whole number"),
            (types.Float(min=1, max=2), "a number, at least 1 and at most 2"),
            (types.String(choices=["b", "a"]), "one of a, b"),
            (types.String(), "text"),
            (types.List(types.Integer()), "a list with commas, each item a whole number"),
        ):
            self.assertEqual(words, files.describe(kind))
