"""Which of gunicorn's processes serves a connection."""

import contextlib
import http.client
import os
import pathlib
import signal

import testtools

from tests.functional import deployment


def connections(process: int, port: int) -> int:
    """How many connections to ``port`` the process serves."""
    rows = (row.split() for row in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])
    ours = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"}
    count = 0
    for descriptor in pathlib.Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(descriptor) in ours
    return count


class TestConnections(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.deployed = self.useFixture(deployment.Deployment(gunicorn=("--keep-alive=60",)))
        self.deployed.start_api(workers=2)
        self.opened: list[http.client.HTTPConnection] = []
        self.addCleanup(lambda: [one.close() for one in self.opened])
        deployment.wait_for("both processes listen", lambda: len(self.deployed.api_processes()) == 2)

    def open(self, count: int) -> None:
        """Connections at once, that have all been answered and are kept alive."""
        new = [http.client.HTTPConnection("127.0.0.1", self.deployed.port, timeout=60) for _ in range(count)]
        self.opened += new
        for one in new:
            one.connect()
        for one in new:
            one.request("GET", "/healthcheck")
        for one in new:
            answer = one.getresponse()
            answer.read()
            self.assertEqual(200, answer.status)

    def counts(self) -> list[int]:
        return [connections(process, self.deployed.port) for process in self.deployed.api_processes()]

    def test_each_process_has_its_share_of_them(self) -> None:
        deployment.wait_for("both take connections", self._both_serve)
        self.open(24 - len(self.opened))
        counts = self.counts()
        self.assertEqual(24, sum(counts))
        # On a busy machine one may not get to it in time, and the other takes some of its share.
        self.assertGreaterEqual(min(counts), 7, counts)

    def test_one_that_is_frozen_keeps_nobody_waiting(self) -> None:
        deployment.wait_for("both take connections", self._both_serve)
        frozen, other = self.deployed.api_processes()
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(os.kill, frozen, signal.SIGCONT)
        before = connections(other, self.deployed.port)
        self.open(10)
        self.assertEqual(before + 10, connections(other, self.deployed.port))

    def _both_serve(self) -> bool:
        self.open(1)
        return min(self.counts()) > 0
