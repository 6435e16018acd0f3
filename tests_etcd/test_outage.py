"""A member, or all of etcd, is frozen or dead: how long a request takes, and what it is answered."""

import concurrent.futures
import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator

import requests

from apisvc.storage.mirror import store as mirror
from tests.functional import deployment
from tests_etcd import careful, cluster, test_deployment

#: Seconds more that a machine may need which is busy with the tests.
BUSY = 1.5
#: Within this the other members serve what a frozen one did.
FAILOVER = 3.0
TENANT = "/v1/tenants/acme"
INSTANCE = {"flavor": "tiny", "image": "host"}


@contextlib.contextmanager
def another_server(host: str, port: int) -> Iterator[None]:
    """Something that speaks HTTP, and is no etcd."""
    served = http.server.ThreadingHTTPServer((host, port), Quiet)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        served.shutdown()
        served.server_close()


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody wants to read of it."""


class Timed(test_deployment.EtcdDeployment):
    def timed(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[requests.Response, float]:
        """The answer, which is fit to be given, and the seconds it took: no more than the deadline."""
        begun = time.monotonic()
        answer = self.service.call(method, path, body, **headers)
        seconds = time.monotonic() - begun
        self.assertIsNone(careful.unfit(answer))
        self.assertLess(seconds, self.request_timeout + BUSY, f"{method} {path}: {answer.status_code}")
        return answer, seconds

    def visit(self) -> None:
        """Have all API processes read, so that each has its copy: a dozen requests at once."""

        def one(_: int) -> bool:
            return self.service.call("GET", TENANT).status_code == 200

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            deployment.wait_for("all reads are served", lambda: all(pool.map(one, range(12))))


class TestFrozenMember(Timed):
    members = 3

    def test_the_others_serve_within_seconds(self) -> None:
        cluster.require_killable()
        self.visit()
        # Whoever it is that the API processes ask, and who leads.
        for member in self.cluster.members:
            member.freeze()
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                reads = [pool.submit(self.timed, "GET", TENANT) for _ in range(8)]
                writes = [pool.submit(self.timed, "POST", f"{TENANT}/instances", INSTANCE) for _ in range(4)]
            for answer, seconds in (read.result() for read in reads):
                self.assertEqual(200, answer.status_code, answer.text)
                self.assertLess(seconds, FAILOVER + BUSY, member.name)
            # A write that the frozen member had may be in doubt; the next ones are not.
            self.assertLessEqual({write.result()[0].status_code for write in writes}, {202, 503})
            for _ in range(4):
                answer, seconds = self.timed("POST", f"{TENANT}/instances", INSTANCE)
                if answer.status_code == 202:
                    self.assertLess(seconds, FAILOVER + BUSY, member.name)
            self.assertEqual(202, answer.status_code, answer.text)
            self.cluster.mend()


class TestOutage(Timed):
    request_timeout = 3.0

    def test_all_members_are_dead(self) -> None:
        self.without(self.cluster.members[0].kill)

    def test_all_members_are_frozen(self) -> None:
        self.without(self.cluster.members[0].freeze)

    def without(self, harm: Callable[[], None]) -> None:
        """``harm`` takes all of etcd away."""
        # Only what was read has a copy that can be read from later.
        self.visit()
        harm()

        for method, path, body in (
            ("GET", TENANT, None),
            ("POST", f"{TENANT}/instances", INSTANCE),
            ("GET", "/readyz", None),
        ):
            answer, _ = self.timed(method, path, body)
            self.assertEqual(503, answer.status_code, answer.text)
        self.assertEqual(200, self.timed("GET", "/healthcheck")[0].status_code)

        stale = {"Cache_Control": "max-stale=60"}
        answer, seconds = self.timed("GET", TENANT, **stale)
        self.assertEqual(200, answer.status_code, answer.text)
        self.assertLess(seconds, mirror.PATIENCE + BUSY)
        self.assertTrue(0 < int(answer.headers["Age"]) <= 60, answer.headers)
        answer, _ = self.timed("GET", TENANT, Cache_Control="max-stale=1")
        self.assertEqual(503, answer.status_code, "nothing so new is known")
        answer, _ = self.timed("POST", f"{TENANT}/instances", INSTANCE, **stale)
        self.assertEqual(503, answer.status_code)

        self.cluster.mend()
        deployment.wait_for("it serves again", lambda: self.timed("GET", TENANT)[0].status_code == 200)
        self.visit()  # each of the processes
        deployment.wait_for("it is ready", lambda: self.timed("GET", "/readyz")[0].status_code == 200)
        answer, _ = self.timed("GET", TENANT, **stale)
        self.assertNotIn("Age", answer.headers)
        made = self.service.made(f"{TENANT}/instances", INSTANCE)
        self.assertIn(made["name"], self.names())
