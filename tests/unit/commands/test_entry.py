"""Whatever stops a command is one line and an exit code."""

import contextlib
import io

import testtools

from apisvc import errors
from apisvc.commands import devapp, entry


class TestEntry(testtools.TestCase):
    def run_(self, command) -> tuple[int, str]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            return entry.run("apisvc-test", command, []), said.getvalue()

    def test_results(self) -> None:
        self.assertEqual((0, ""), self.run_(lambda argv: None))
        self.assertEqual((3, ""), self.run_(lambda argv: 3))

    def test_errors(self) -> None:
        def refused(argv):
            raise errors.StartError("[a] b = c: no")

        def interrupted(argv):
            raise KeyboardInterrupt

        self.assertEqual((1, "apisvc-test: [a] b = c: no\n"), self.run_(refused))
        self.assertEqual((130, ""), self.run_(interrupted))

    def test_gunicorn_is_told_not_to_try_again(self) -> None:
        def refused():
            raise errors.StartError("no")

        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            end = self.assertRaises(SystemExit, entry.application, refused)
        self.assertEqual((4, "apisvc: no\n"), (end.code, said.getvalue()))
        self.assertEqual(7, entry.application(lambda: 7))


class TestAddress(testtools.TestCase):
    def test_where_gunicorn_listens(self) -> None:
        for line, url in (
            ("gunicorn main_dev:app", "http://127.0.0.1:8000"),
            ("gunicorn -b 127.0.0.1:5000 main_dev:app", "http://127.0.0.1:5000"),
            ("gunicorn --workers=2 --bind=127.0.0.1:5001 main_dev:app", "http://127.0.0.1:5001"),
            ("gunicorn --bind [::1]:5002 main_dev:app", "http://[::1]:5002"),
        ):
            self.assertEqual(url, devapp._url(line.split()))
