"""Steady creates and deletes over HTTP while processes of the deployment are killed and frozen at random.

Three etcd members, gunicorn with two workers, ``apisvc-worker`` twice, and careful clients.
"""

import contextlib
import itertools
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import fixtures

from apisvc.compute import fakecloud
from tests.functional import deployment
from tests_etcd import careful, cluster

TENANTS = ("acme", "umbrella", "hooli")
#: Seconds that no request may take.
SLOWEST = 10.0
#: Seconds after the last fault in which everything must be as asked for.
CONVERGED = 60.0


class Site(fixtures.Fixture):
    """The deployment, and what can befall it."""

    def __init__(self, request_timeout: float = 5.0) -> None:
        super().__init__()
        self._request_timeout = request_timeout

    def _setUp(self) -> None:
        self.cluster = self.useFixture(cluster.Cluster(3))
        self.service = self.useFixture(
            deployment.Deployment(
                {
                    "storage": {"driver": "etcd"},
                    "etcd": {"endpoints": ",".join(self.cluster.endpoints)},
                    "api": {"request_timeout": self._request_timeout},
                },
                # As shipped: all is imported before gunicorn listens, so nobody is accepted only to wait for that.
                gunicorn=("-c", str(deployment.SETTINGS)),
            )
        )
        #: From when to when API processes were away: (begin, end).
        self.api_away: list[tuple[float, float]] = []
        self.service.start_api(workers=2)
        unlimited = {"instances": -1, "vcpus": -1, "ram_mb": -1, "disk_gb": -1}
        self.service.catalogue(TENANTS[0], quota=unlimited)
        for name in TENANTS[1:]:
            self.service.made("/v1/admin/tenants", {"name": name, "quota": unlimited})
        for _ in range(2):
            self.service.start_worker()

    @contextlib.contextmanager
    def api_is_away(self) -> Iterator[None]:
        begin = time.monotonic()
        self.api_away.append((begin, begin + 3600))
        try:
            yield
        finally:
            self.api_away[-1] = (begin, time.monotonic() + 0.5)

    def excuses(self, attempt: careful.Attempt) -> bool:
        """Whether an API process was away during ``attempt``."""
        return any(begin <= attempt.end and attempt.begin <= end for begin, end in self.api_away)

    def observed(self) -> list[str]:
        """The ids of what runs on the backend, as that has it."""
        cloud = fakecloud.FileCloud(str(self.service.folder / "fake.sqlite"))
        try:
            with cloud.locked():
                now = time.time()
                return [found.tag.instance_id for found in cloud.all() if found.phase(now) is not None]
        finally:
            cloud.close()


class Nemesis:
    """One fault at a time, each repaired before the next."""

    def __init__(self, site: Site, rng: random.Random, pause: tuple[float, float]) -> None:
        self._site = site
        self._rng = rng
        self._pause = pause
        #: What was done, and when.
        self.deeds: list[tuple[float, str]] = []

    def run(self, stop: threading.Event) -> None:
        choices: Sequence[Callable[[threading.Event], None]] = (
            self.kill_member,
            self.kill_leader,
            self.freeze_member,
            self.freeze_leader,
            self.kill_api_process,
            self.kill_api,
            self.kill_worker,
        )
        # Each once, in some order; then by chance.
        due = self._rng.sample(choices, len(choices))
        while not stop.wait(self._rng.uniform(*self._pause)):
            deed = due.pop() if due else self._rng.choice(choices)
            self.deeds.append((time.monotonic(), deed.__name__.replace("_", " ")))
            deed(stop)

    def kill_member(self, stop: threading.Event) -> None:
        self._member(self._rng.choice(self._site.cluster.members).kill, stop)

    def kill_leader(self, stop: threading.Event) -> None:
        self._member(self._site.cluster.leader().kill, stop)

    def freeze_member(self, stop: threading.Event) -> None:
        self._member(self._rng.choice(self._site.cluster.members).freeze, stop)

    def freeze_leader(self, stop: threading.Event) -> None:
        self._member(self._site.cluster.leader().freeze, stop)

    def _member(self, harm: Callable[[], None], stop: threading.Event) -> None:
        harm()
        stop.wait(self._rng.uniform(0.5, 3.0))
        self._site.cluster.mend()

    def kill_api_process(self, stop: threading.Event) -> None:
        """One of gunicorn's workers; gunicorn starts another."""
        before = self._site.service.api_processes()
        with self._site.api_is_away():
            os.kill(self._rng.choice(before), signal.SIGKILL)
            deployment.wait_for(
                "gunicorn has two workers",
                lambda: len(now := self._site.service.api_processes()) >= 2 and now != before,
            )

    def kill_api(self, stop: threading.Event) -> None:
        with self._site.api_is_away():
            self._site.service.kill_api()
            stop.wait(self._rng.uniform(0.0, 1.0))
            self._site.service.start_api(workers=2)

    def kill_worker(self, stop: threading.Event) -> None:
        service = self._site.service
        service.kill_worker(self._rng.choice(service.workers))
        stop.wait(self._rng.uniform(0.0, 3.0))
        service.start_worker()


class Storm:
    """A run of all that: :meth:`blow`, then :meth:`judge`."""

    def __init__(
        self, site: Site, seed: int, clients: int = 6, pause: tuple[float, float] = (1.0, 4.0)
    ) -> None:
        rng = random.Random(seed)
        self.site = site
        self.nemesis = Nemesis(site, random.Random(rng.random()), pause)
        self.clients = [
            careful.Client(site.service, TENANTS[number % len(TENANTS)], random.Random(rng.random()))
            for number in range(clients)
        ]
        self.converged = 0.0

    def blow(self, seconds: float) -> None:
        """Returns when the clients have their answers and all processes are back."""
        calm, stop = threading.Event(), threading.Event()
        clients = [threading.Thread(target=client.run, args=(stop,), daemon=True) for client in self.clients]
        for thread in clients:
            thread.start()
        timer = threading.Timer(seconds, calm.set)
        timer.start()
        try:
            self.nemesis.run(calm)
        finally:
            timer.cancel()
            stop.set()
            for thread in clients:
                thread.join(90)
        if any(thread.is_alive() for thread in clients):
            raise AssertionError("a client hangs")

    def judge(self) -> list[str]:
        """Everything that is not as it must be."""
        begin = time.monotonic()
        try:
            deployment.wait_for(
                lambda: "; ".join(self._differences()), lambda: not self._differences(), CONVERGED
            )
        except AssertionError as error:
            return [str(error), *self._wrong()]
        self.converged = time.monotonic() - begin
        return self._wrong()

    def _differences(self) -> list[str]:
        """Between what was acknowledged, the API, the backend and the ledgers."""
        wanted = sorted(one for client in self.clients for one in client.kept)
        shown: list[str] = []
        found: list[str] = []
        for tenant in TENANTS:
            instances = self.site.service.instances(tenant)
            shown += [instance["id"] for instance in instances]
            found += [
                f"{instance['id']} is {instance['status']['state']}"
                for instance in instances
                if instance["status"]["state"] != "active"
            ]
            used = self.site.service.call("GET", f"/v1/tenants/{tenant}/usage").json()["used"]
            if used["instances"] != len(instances) or used["ram_mb"] != 64 * len(instances):
                found.append(f"the ledger of {tenant} says {used}, and there are {len(instances)}")
        found += _compare("in the API", wanted, shown)
        return found + _compare("on the backend", wanted, self.site.observed())

    def _wrong(self) -> list[str]:
        found = [line for client in self.clients for line in client.wrong]
        for attempt in self.attempts:
            if attempt.seconds > SLOWEST:
                found.append(f"{attempt.what} took {attempt.seconds:.1f} s")
            if attempt.wrong and not (attempt.status == 0 and self.site.excuses(attempt)):
                found.append(f"{attempt.what}: {attempt.wrong}")
        try:
            self.site.service.command("manage", "store", "check")
        except AssertionError as error:
            found.append(str(error))
        return found

    @property
    def attempts(self) -> list[careful.Attempt]:
        return sorted((a for client in self.clients for a in client.attempts), key=lambda a: a.end)

    def figures(self) -> list[str]:
        """Lines to print."""
        attempts = self.attempts
        statuses = Counter(attempt.status for attempt in attempts)
        good = [attempt.end for attempt in attempts if attempt.status and attempt.status != 503]
        gaps = [later - earlier for earlier, later in itertools.pairwise(good)]
        created = sum(len(client.created) for client in self.clients)
        deleted = sum(len(client.deleted) for client in self.clients)
        kinds = Counter(name for _, name in self.nemesis.deeds)
        deeds = ", ".join(f"{name} {count}" for name, count in sorted(kinds.items()))
        return [
            f"faults: {len(self.nemesis.deeds)} ({deeds})",
            f"acknowledged: {created} creates, {deleted} deletes",
            f"requests: {len(attempts)}; {statuses.get(503, 0)} answered with 503, "
            f"{statuses.get(0, 0)} refused or cut off by an API process that was killed",
            f"seconds of a request: {_spread([attempt.seconds for attempt in attempts])}",
            f"seconds to the answer of a write, attempts and all: "
            f"{_spread([wait for client in self.clients for wait in client.waits])}",
            f"longest time without any good answer to anybody: {max(gaps, default=0.0):.2f} s",
            f"everything as asked for: {self.converged:.1f} s after the end",
        ]


def _compare(where: str, wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    twice = [one for one, count in Counter(found).items() if count > 1]
    missing, extra = set(wanted) - set(found), set(found) - set(wanted)
    return [
        f"{what} {where}: {sorted(which)}"
        for what, which in (("twice", twice), ("missing", missing), ("not asked for", extra))
        if which
    ]


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "none"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"median {cuts[49]:.3f}, 99 % {cuts[98]:.2f}, longest {max(seconds):.2f}"
