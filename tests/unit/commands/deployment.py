"""A deployment in a folder: configuration, keys and an SQLite store, for the commands to work on."""

import contextlib
import io
import pathlib
import sys

import fixtures

from apisvc import plugins
from apisvc.conf import files


class Deployment(fixtures.Fixture):
    def _setUp(self) -> None:
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.config = self.folder / "apisvc.conf"
        self.write("")

    def write(self, more: str) -> None:
        self.config.write_text(f"[DEFAULT]\nstate_dir = {self.folder}\n{more}")

    def store(self):
        """Another handle on the store; closed at the end."""
        store = plugins.load_store(files.read(["--config-file", str(self.config)]))
        self.addCleanup(store.close)
        return store

    def run(self, main, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, standard output and standard error of ``main`` with ``--config-file`` and ``argv``."""
        out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
        given, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = main(["--config-file", str(self.config), *argv])
                except SystemExit as end:
                    code = end.code
        finally:
            sys.stdin = given
        return code, out.buffer.getvalue().decode(), err.getvalue()
