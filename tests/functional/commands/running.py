"""A real apisvc-dev in a process of its own, talked to over HTTP."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import fixtures

from tests.functional import deployment

TREE = pathlib.Path(__file__).parents[3]


class Dev(fixtures.Fixture):
    """``start()`` it, use ``call()``, ``stop()`` it; what is left at the end is ended."""

    def __init__(self, state: pathlib.Path) -> None:
        self.state = state
        self.process: subprocess.Popen[bytes] | None = None

    def _setUp(self) -> None:
        self.output = self.state.parent / "output"
        self.addCleanup(self._end)

    def start(
        self,
        *argv: str,
        cwd: pathlib.Path = TREE,
        command: tuple[str, ...] = (sys.executable, "-m", "apisvc.main_dev"),
    ) -> None:
        """Returns when it has printed its address."""
        self.output.unlink(missing_ok=True)
        line = [*command, "--port", "0", *argv]
        environ = {**os.environ, "XDG_STATE_HOME": str(self.state.parent / "xdg")}
        if "--ephemeral" not in argv:
            line += ["--state-dir", str(self.state)]
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                line, cwd=cwd, env=environ, stdout=output, stderr=subprocess.STDOUT
            )
        deployment.wait_for(
            self.said, lambda: "describes itself" in self.said() or self.process.poll() is not None
        )
        self.url = self._printed(r"APISVC_URL=(\S+)")
        self.token, self.admin_token = re.findall(r"APISVC_TOKEN=(\S+)", self.said())

    def said(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def _printed(self, pattern: str) -> str:
        found = re.search(pattern, self.said())
        if found is None:
            raise AssertionError(f"apisvc-dev did not start:\n{self.said()}")
        return found[1]

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> tuple[int, dict]:
        """Status and document of the answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Auth-Token": token or self.token, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def _end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
