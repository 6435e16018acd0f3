import socket
import urllib.request

import testtools

from apisvc.commands import worker
from apisvc.conf import files
from tests import ports
from tests.unit.commands import deployment


class ServeMetrics(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(deployment.Deployment())
        self.port = ports.reserve(self.addCleanup)

    def serve(self, more: str, number: int = 0):
        self.site.write(f"[worker]\n{more}")
        served = worker.serve_metrics(files.read(["--config-file", str(self.site.config)]), number)
        if served is not None:
            self.addCleanup(served.server_close)
            self.addCleanup(served.shutdown)
        return served

    def test_only_where_told(self) -> None:
        self.assertIsNone(self.serve(""))

    def test_each_process_has_a_port(self) -> None:
        self.assertIsNotNone(self.serve(f"metrics_port = {self.port - 1}", number=1))
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        for figure in ("apisvc_worker_lease_valid", "apisvc_worker_wait_seconds", "process_open_fds"):
            self.assertIn(figure, text)

    def test_a_port_in_use_keeps_no_worker_from_its_work(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)):
            self.assertIsNone(self.serve(f"metrics_port = {self.port}"))
