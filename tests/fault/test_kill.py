"""``kill -9`` of the API, the worker or both amid a hundred creates and deletes of real processes."""

import concurrent.futures
import os
import pathlib
import threading
import uuid

import requests
import testtools

from tests.functional import deployment


def running(mark: str) -> list[str]:
    """The instances' own processes of this host whose environment has ``mark``, by the name each was given."""
    names = []
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if f"KILL_TEST={mark}".encode() in environment and state != "Z":
            names += [
                item.removeprefix(b"KILL_NAME=").decode()
                for item in environment
                if item.startswith(b"KILL_NAME=")
            ]
    return names


class KillTest(testtools.TestCase):
    COUNT = 100

    def setUp(self) -> None:
        super().setUp()
        self.mark = uuid.uuid4().hex
        self.site = self.useFixture(
            deployment.Deployment(
                {
                    "first": {
                        "driver": "local",
                        "state_file": None,
                        "stop_grace": 1,
                        # As shipped, two processors have room for 32.
                        "cpu_allocation_ratio": 1000,
                    }
                }
            )
        )
        self.addCleanup(self.remove_all)
        self.site.start_api()
        self.site.start_worker()
        self.site.catalogue(quota={"instances": -1, "vcpus": -1, "ram_mb": -1, "disk_gb": -1})
        self.lock = threading.Lock()
        self.created: set[str] = set()
        self.deleted: set[str] = set()

    def remove_all(self) -> None:
        """The processes outlive apisvc by design, so the test takes them away through apisvc."""
        if self.site.api is None:
            self.site.start_api()
        if not self.site.workers:
            self.site.start_worker()
        for instance in self.site.instances():
            self.site.call("DELETE", f"/v1/tenants/acme/instances/{instance['id']}")
        deployment.wait_for("all instances gone", lambda: not self.site.instances(), 300)
        self.assertEqual([], running(self.mark))

    def until_answered(self, method: str, path: str, body: object = None) -> requests.Response:
        """What a careful client does: the same request, with the same key, until there is an answer."""
        key = uuid.uuid4().hex

        def attempt() -> list[requests.Response]:
            try:
                answer = self.site.call(method, path, body, Idempotency_Key=key)
            except requests.RequestException:
                return []
            # In a list, for a response is false when it is an error, and a 404 is an answer, too.
            return [] if answer.status_code == 503 else [answer]

        (answer,) = deployment.wait_for(f"{method} {path} answered", attempt, 180)
        return answer

    def create(self, number: int) -> None:
        name = f"i-{number}"
        body = {
            "name": name,
            "image": "host",
            "flavor": "tiny",
            "command": ["sleep", "100000"],
            "env": {"KILL_TEST": self.mark, "KILL_NAME": name},
        }
        answer = self.until_answered("POST", "/v1/tenants/acme/instances", body)
        self.assertEqual(202, answer.status_code, answer.text)
        with self.lock:
            self.created.add(name)

    def delete(self, number: int) -> None:
        answer = self.until_answered("DELETE", f"/v1/tenants/acme/instances/i-{number}")
        self.assertIn(answer.status_code, (202, 204, 404), answer.text)
        with self.lock:
            self.deleted.add(f"i-{number}")

    def churn(self) -> None:
        """Create all; delete every second one as soon as it is there."""
        for number in range(self.COUNT):
            self.create(number)
            if number % 2:
                self.delete(number)

    def kill_amid_churn(self, *victims: str) -> None:
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown, wait=False)
        client = pool.submit(self.churn)

        def come_to(share: float) -> bool:
            if client.done():
                client.result()  # what stopped it
            return len(self.created) >= share * self.COUNT

        for share in (0.25, 0.5, 0.75):
            deployment.wait_for(
                lambda share=share: (
                    f"{share:.0%} created, but {sorted(self.created)}:\n{self.site.log('api.log')}"
                ),
                lambda share=share: come_to(share),
                300,
            )
            if "worker" in victims:
                self.site.kill_workers()
            if "api" in victims:
                self.site.kill_api()
                self.site.start_api()
            if "worker" in victims:
                self.site.start_worker()
        client.result(600)
        self.converges()

    def converges(self) -> None:
        """Every accepted instance runs exactly once, every deleted one is gone, the ledger says so."""
        expected = self.created - self.deleted

        def right() -> bool:
            instances = self.site.instances()
            return {i["name"] for i in instances} == expected and all(
                i["status"]["state"] == "active" for i in instances
            )

        deployment.wait_for("all as asked", right, 300)
        self.assertEqual(sorted(expected), sorted(running(self.mark)))
        used = self.site.call("GET", "/v1/tenants/acme/usage").json()["used"]
        count = len(expected)
        self.assertEqual({"instances": count, "vcpus": count, "ram_mb": 64 * count, "disk_gb": count}, used)

    def test_kill_the_api(self) -> None:
        self.kill_amid_churn("api")

    def test_kill_the_worker(self) -> None:
        self.kill_amid_churn("worker")

    def test_kill_both(self) -> None:
        self.kill_amid_churn("api", "worker")
