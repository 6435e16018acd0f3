"""The whole service on etcd: gunicorn with --preload, recycled and reloaded, while members come and go."""

import os
import signal
import threading
import time
from collections import Counter

import requests
import testtools

from tests.functional import deployment
from tests_etcd import cluster

#: No answer takes longer: [api] request_timeout, and some for a machine that is busy with the tests.
SLOWEST = 5.0 + 5.0

#: gunicorn replaces each process after so many requests.
RECYCLED = ("--max-requests", "150", "--max-requests-jitter", "50")


class Load:
    """Clients that read and create; counts what they are answered."""

    def __init__(self, service: deployment.Deployment, clients: int = 4) -> None:
        self._service = service
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()
        self.without_retry_after = 0
        self.broken: list[str] = []
        self.slowest = 0.0
        self.created: set[str] = set()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def reach(self, more: int, seconds: float = 60.0) -> None:
        """Wait until so many more requests were answered well."""
        done = self.answers[200] + self.answers[202] + more
        deployment.wait_for(
            f"{more} good answers", lambda: self.answers[200] + self.answers[202] >= done, seconds
        )

    def _run(self, number: int) -> None:
        turn = 0
        path = "/v1/tenants/acme/instances"
        while not self._stop.is_set():
            turn += 1
            name = f"i-{number}-{turn}"
            creates = turn % 4 == 0
            begun = time.monotonic()
            try:
                if creates:
                    body = {"name": name, "flavor": "tiny", "image": "host"}
                    answer = self._service.call("POST", path, body)
                else:
                    answer = self._service.call("GET", f"{path}?limit=10")
            except requests.RequestException as error:
                self.broken.append(str(error))
                continue
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.answers[answer.status_code] += 1
                if answer.status_code == 503 and "Retry-After" not in answer.headers:
                    self.without_retry_after += 1
                if answer.status_code == 202:
                    self.created.add(name)


class EtcdDeployment(testtools.TestCase):
    members = 1
    request_timeout = 5.0
    gunicorn: tuple[str, ...] = ("--preload",)

    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.useFixture(self.make_cluster())
        options = {
            "storage": {"driver": "etcd"},
            "etcd": {"endpoints": ",".join(self.cluster.endpoints), **self.access()},
            "api": {"request_timeout": self.request_timeout, "rate_limit": 0},
        }
        self.service = self.useFixture(deployment.Deployment(options, gunicorn=self.gunicorn))
        begun = time.monotonic()
        self.service.start_api()
        #: Seconds that the API takes to start here and now.
        self.starting = time.monotonic() - begun
        self.service.catalogue(quota={"instances": -1, "vcpus": -1, "ram_mb": -1, "disk_gb": -1})

    def make_cluster(self) -> cluster.Cluster:
        return cluster.Cluster(self.members)

    def access(self) -> dict[str, object]:
        """Options of ``[etcd]`` beside the endpoints. The cluster is there."""
        return {}

    def names(self) -> set[str]:
        return {instance["name"] for instance in self.service.instances()}


class TestReload(EtcdDeployment):
    """A process that used etcd before it was forked would fail or hang here."""

    gunicorn = ("--preload", *RECYCLED)

    def test_recycled_workers_and_hup_under_load(self) -> None:
        assert self.service.api is not None
        with Load(self.service) as load:
            load.reach(300)
            for _ in range(3):
                os.kill(self.service.api.pid, signal.SIGHUP)
                load.reach(150)
        self.assertEqual({200, 202}, set(load.answers), load.answers)
        self.assertEqual([], load.broken)
        # Until the new processes of a reload have started, a request may wait for them.
        self.assertLess(load.slowest, SLOWEST + 2 * self.starting)
        self.assertEqual(set(), load.created - self.names())


class TestReloadAsShipped(TestReload):
    gunicorn = ("-c", str(deployment.SETTINGS), *RECYCLED)


class TestReloadWithoutPreload(TestReload):
    gunicorn = RECYCLED


class TestMembers(EtcdDeployment):
    members = 3

    def setUp(self) -> None:
        cluster.require_killable()
        super().setUp()

    def test_killed_and_frozen_members_under_load(self) -> None:
        with Load(self.service) as load:
            load.reach(50)
            for fault in ("kill", "freeze"):
                for member in (self.cluster.follower(), self.cluster.leader()):
                    member.kill() if fault == "kill" else member.freeze()
                    load.reach(50)
                    self.cluster.mend()
            load.reach(50)
        self.assertEqual(set(), set(load.answers) - {200, 202, 409, 503}, load.answers)
        self.assertEqual(([], 0), (load.broken, load.without_retry_after))
        self.assertLess(load.slowest, SLOWEST)
        self.assertEqual(set(), load.created - self.names())
