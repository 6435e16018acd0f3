"""gunicorn replaces its processes under load: nobody notices, and the figures stay right."""

import concurrent.futures
import pathlib
import re
import signal
import threading

import fixtures
import testtools

from tests.functional import deployment

CLIENTS = 4


class TestRecycling(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.figures = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def start(self, *gunicorn: str) -> None:
        self.running = self.useFixture(
            deployment.Deployment(gunicorn=("-c", str(deployment.SETTINGS), *gunicorn))
        )
        # The settings bring a folder for the figures of their own; here it is looked into.
        self.useFixture(fixtures.EnvironmentVariable("PROMETHEUS_MULTIPROC_DIR", str(self.figures)))
        self.running.start_api(workers=3)

    def test_no_request_fails_while_processes_come_and_go(self) -> None:
        self.start("--max-requests=20", "--max-requests-jitter=5")
        self.running.catalogue(quota={"instances": 1000, "vcpus": 1000, "ram_mb": 100000, "disk_gb": 1000})
        self.load(240)
        self.assertGreater((self.running.folder / "api.log").read_text().count("Booting worker"), 8)

    def load(self, requests: int) -> None:
        """Reads and creates from several clients, with a reload in the middle; all must succeed."""
        half = threading.Barrier(CLIENTS, self.reload)

        def client(number: int) -> set[int]:
            found = set()
            for turn in range(requests // CLIENTS):
                if turn == requests // CLIENTS // 2:
                    half.wait(300)
                body = {"image": "host", "flavor": "tiny"} if turn % 10 == number else None
                method, path = ("POST", "/v1/tenants/acme/instances") if body else ("GET", "/v1/user")
                found.add(self.running.call(method, path, body).status_code)
            return found

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            self.assertEqual({200, 202}, set().union(*clients.map(client, range(CLIENTS))))

    def reload(self) -> None:
        assert self.running.api is not None
        self.running.api.send_signal(signal.SIGHUP)

    def test_the_figures_are_those_of_all_processes(self) -> None:
        self.start("--max-requests=20")
        for _ in range(70):
            self.assertEqual(200, self.running.call("GET", "/v1/user").status_code)
        # Counted by whichever process served them, many of which have ended.
        self.assertEqual(
            70, self.figure('apisvc_request_seconds_count{operation="own_show_user",status="200"}')
        )
        # No fewer than 70 requests need at 20 a process, however they are shared out.
        assert self.running.api is not None
        self.assertGreaterEqual(len(self.counting("histogram") - {self.running.api.pid}), 4)
        deployment.wait_for(
            lambda: (
                f"gauges of {self.counting('gauge_live')}, living {self.alive()}: {self.running.log('api.log')}"
            ),
            lambda: self.counting("gauge_live") and self.counting("gauge_live") <= self.alive(),
        )

    def figure(self, name: str) -> float:
        text = self.running.call("GET", "/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def counting(self, kind: str) -> set[int]:
        """The processes that have figures of a kind."""
        return {int(re.findall(r"\d+", path.name)[-1]) for path in self.figures.glob(f"{kind}*.db")}

    def alive(self) -> set[int]:
        assert self.running.api is not None
        master = self.running.api.pid
        children = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text()
        return {master, *map(int, children.split())}
