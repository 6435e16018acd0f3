"""Conditional writes and reads over HTTP, through several API processes, under faults: linearizable.

``APISVC_TEST_SEEDS=1-100`` tries other and more seeds, ``APISVC_TEST_SECONDS=30`` makes each history longer.
"""

import math
import os
import random
import signal
import threading
import time
import unittest

import requests

from tests.fault import linearizability as lin
from tests.functional import deployment
from tests_etcd import cluster, faults

#: Tenants of a history; the description of each is one key of the judge's store.
KEYS = 3
CLIENTS = 5
#: Operations of a history that is worth being judged.
ENOUGH = 30


def seeds() -> range:
    first, _, last = os.environ.get("APISVC_TEST_SEEDS", "1-20").partition("-")
    return range(int(first), int(last or first) + 1)


class Client:
    """Reads and changes the tenants ``names``, and writes down what came of it."""

    def __init__(
        self, number: int, service: deployment.Deployment, seed: int, names: list[str], rng: random.Random
    ) -> None:
        self._number = number
        self._service = service
        self._seed = seed
        self._names = names
        self._rng = rng
        self._written = 0
        #: What it last read: number of a key -> (value, ETag).
        self._known: dict[int, tuple[str | None, str]] = {}
        self.history: list[lin.Operation] = []
        #: Answers that are neither good nor what a fault explains.
        self.odd: list[str] = []

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self._known or self._rng.random() < 0.5:
                self._read()
            else:
                self._write()
            stop.wait(self._rng.random() * 0.02)

    def _call(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response | None:
        """The answer; None when it was lost, or says that it is not known."""
        try:
            answer = self._service.call(method, path, body, **headers)
        except requests.RequestException:
            return None  # its process was killed
        if answer.status_code not in (200, 412, 503):
            self.odd.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return None if answer.status_code == 503 else answer

    def _read(self) -> None:
        """One tenant, as its admin or its users see it; or all in one list."""
        wanted = (self._rng.randrange(KEYS),)
        kind = self._rng.choice(("admin/tenants", "tenants", "list"))
        begin = time.monotonic()
        if kind == "list":
            wanted = tuple(range(KEYS))
            answer = self._call("GET", f"/v1/admin/tenants?label=seed=s{self._seed}")
            shown = {} if answer is None else {each["name"]: each for each in answer.json()["tenants"]}
        else:
            answer = self._call("GET", f"/v1/{kind}/{self._names[wanted[0]]}")
            shown = {} if answer is None else {self._names[wanted[0]]: answer.json()}
        if answer is None:
            return
        end = time.monotonic()
        for key in wanted:
            tenant = shown[self._names[key]]
            self._known[key] = (tenant["description"] or None, f'"{tenant["revision"]}"')
        values = tuple(self._known[key][0] for key in wanted)
        self.history.append(lin.Operation(self._number, begin, end, lin.Read(wanted), values))

    def _write(self) -> None:
        """Mostly on condition that the tenant still is as it was read."""
        key = self._rng.choice(sorted(self._known))
        value, tag = self._known.pop(key)
        self._written += 1
        new = f"{self._number}.{self._written}"
        conditional = self._rng.random() < 0.8
        headers = {"If_Match": tag} if conditional else {}
        call = lin.Commit(((key, value),) if conditional else (), ((key, new),))
        begin = time.monotonic()
        answer = self._call("PATCH", f"/v1/admin/tenants/{self._names[key]}", {"description": new}, **headers)
        end, done = (math.inf, None) if answer is None else (time.monotonic(), answer.status_code == 200)
        self.history.append(lin.Operation(self._number, begin, end, call, done))


class Nemesis(faults.Nemesis):
    """Also kills API processes, which gunicorn starts again."""

    kinds = (*faults.Nemesis.kinds, "kill an API process")

    def __init__(self, members: cluster.Cluster, service: deployment.Deployment, rng: random.Random) -> None:
        super().__init__(members, rng)
        self._service = service

    def strike(self, kind: str) -> str:
        if "API" not in kind:
            return super().strike(kind)
        os.kill(self._rng.choice(self._service.api_processes()), signal.SIGKILL)
        return kind


class TestHttpLinearizability(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cluster.require_killable()
        cls.cluster = cluster.Cluster(3)
        cls.addClassCleanup(cls.cluster.cleanUp)
        cls.cluster.setUp()
        options = {
            "storage": {"driver": "etcd"},
            "etcd": {"endpoints": ",".join(cls.cluster.endpoints), "attempt_timeout": 0.5},
            "api": {"request_timeout": 3},
        }
        cls.service = deployment.Deployment(options, gunicorn=("--preload",))
        cls.addClassCleanup(cls.service.cleanUp)
        cls.service.setUp()
        cls.service.start_api(workers=3)

    def test_histories_under_kill_freeze_and_leader_change(self) -> None:
        seconds = float(os.environ.get("APISVC_TEST_SECONDS", "2"))
        lengths, lost, deeds = 0, 0, 0
        for seed in seeds():
            history, nemesis = self.provoke(seed, seconds)
            lengths, deeds = lengths + len(history), deeds + len(nemesis.deeds)
            lost += sum(operation.lost for operation in history)
            if lin.explain(lin.Store(KEYS), history) is None:
                lines = [str(operation) for operation in sorted(history, key=lambda each: each.begin)]
                self.fail("\n".join([f"seed {seed} is not linearizable; {nemesis.deeds}", *lines]))
        print(f"{len(seeds())} histories, {lengths} requests, {lost} in doubt, {deeds} faults")
        self.assertGreater(deeds, 0)

    def provoke(self, seed: int, seconds: float) -> tuple[list[lin.Operation], Nemesis]:
        rng = random.Random(seed)
        self.cluster.mend()
        names = [f"s{seed}-{key}" for key in range(KEYS)]
        for name in names:
            body = {"name": name, "labels": {"seed": f"s{seed}"}}
            deployment.wait_for(
                f"{name} is made",
                lambda body=body: (
                    self.service.call("POST", "/v1/admin/tenants", body).status_code in (201, 409)
                ),
            )
        clients = [
            Client(number, self.service, seed, names, random.Random(rng.random()))
            for number in range(CLIENTS)
        ]
        nemesis = Nemesis(self.cluster, self.service, random.Random(rng.random()))
        stop = threading.Event()
        runs = [client.run for client in clients] + [nemesis.run]
        threads = [threading.Thread(target=run, args=(stop,), daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        deployment.wait_for(
            f"seed {seed}: enough is answered",
            lambda: sum(len(client.history) for client in clients) > ENOUGH,
        )
        stop.set()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive(), f"seed {seed}: a request hangs")
        self.assertEqual([], [line for client in clients for line in client.odd], f"seed {seed}")
        return [operation for client in clients for operation in client.history], nemesis
