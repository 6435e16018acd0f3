"""Thousands of pods on kwok nodes over two clusters: ``python -m benchmarks.kubernetes_scale [--pods 2000]``.

Everything is real but the nodes: HTTP through gunicorn, SQLite, an ``apisvc-worker`` process, two control planes of
``tools.kubernetes``. It creates the instances, half on each cluster, waits until all are active, stops to look at what
an idle worker asks for, and deletes them. Printed are the rates, the worker's memory, and what the worker asked of the
API servers for each pod from create to delete, by their own audit logs: no more than 5 calls. Each call is counted,
also those that did not succeed; a watch counts once, when it is opened.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import tempfile
import time
from collections.abc import Callable
from typing import Any

from tests.functional import deployment
from tools.kubernetes import lab

BACKENDS = ("east", "west")
TENANT = "acme"
MOST_CALLS = 5.0
NODES, PODS_PER_NODE = 12, 110
DEADLINE = 1800.0
IDLE = 60.0
#: Every request of the driver's user is written once, when it is over or, for a watch, when it has begun.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": ["apisvc"]}, {"level": "None"}],
}

Calls = collections.Counter[str]


class Cluster:
    """A control plane with kwok nodes that writes down what the driver asks of it."""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.name = name
        self.lab = lab.Lab(f"scale-{name}-{os.getpid()}")
        self._audit = folder / f"{name}.audit"
        self._policy = folder / f"{name}.policy"
        self._policy.write_text(json.dumps(POLICY))

    def up(self) -> None:
        audit = [f"--audit-policy-file={self._policy}", f"--audit-log-path={self._audit}"]
        self.lab.own()
        self.lab.up({"kube-apiserver": audit})
        self.lab.kwok_nodes(NODES, PODS_PER_NODE)
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "apisvc"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "apisvc"}],
        }
        self.lab.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)

    @property
    def kubeconfig(self) -> pathlib.Path:
        return self.lab.folder / "apisvc.kubeconfig"

    def calls(self) -> Calls:
        """What the driver's user asked for until now, by verb and resource."""
        found: Calls = collections.Counter()
        for line in self._audit.read_text().splitlines() if self._audit.exists() else ():
            event = json.loads(line)
            asked = event.get("objectRef", {})
            of = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
            # A watch is written when it begins and again when it ends.
            if event["verb"] != "watch" or event["stage"] == "ResponseStarted":
                found[f"{event['verb']} {of or event['requestURI'].partition('?')[0]}"] += 1
        return found

    def served(self) -> int:
        """All that its API server was asked for, by whomever."""
        metrics = self.lab.call("GET", "/metrics")
        counted = re.findall(r"^apiserver_request_total\{.*\} ([0-9.e+]+)$", metrics, re.MULTILINE)
        return round(sum(float(number) for number in counted))

    def pods(self) -> int:
        """How many pods of tenants there are."""
        found = self.lab.call("GET", "/api/v1/pods?limit=1&resourceVersion=0")
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))


class Scale:
    """The deployment under load, and what it was seen to do."""

    def __init__(self, clusters: list[Cluster], count: int, clients: int) -> None:
        self.clusters = clusters
        self.count = count
        self.clients = clients
        options: dict[str, dict[str, Any]] = {
            "DEFAULT": {"enabled_backends": ",".join(BACKENDS)},
            "first": {"driver": None, "state_file": None},
            "api": {"rate_limit": 0},
            "worker": {"lease_ttl": 10, "resync_interval": 10, "retry_max": 300, "threads": 16},
        }
        for cluster in clusters:
            options[cluster.name] = {"driver": "kubernetes", "kubeconfig": cluster.kubeconfig}
            # Enough not to be what is measured.
            options[cluster.name] |= {"qps": 500, "burst": 1000}
        self.service = deployment.Deployment(options)

    def run(self) -> float:
        """Create, rest and delete; how many calls a pod took."""
        service = self.service
        service.start_api()
        service.start_worker()
        self._catalogue()
        self._create(len(BACKENDS))  # what a tenant needs on a cluster is made once
        before, served = self._calls(), self._served()
        begun = time.monotonic()
        self._create(self.count)
        show("created and active", f"{self.count / (time.monotonic() - begun):8.1f} instances/s")
        show("worker, resident at most", f"{self._memory():8.0f} MiB")
        created = self._calls()
        time.sleep(IDLE)
        idle = self._calls() - created
        show("idle worker, both clusters", f"{idle.total() / IDLE * 60:8.0f} calls/min  {said(idle)}")
        resting = self._calls()
        begun = time.monotonic()
        self._delete()
        show("deleted and gone", f"{self.count / (time.monotonic() - begun):8.1f} instances/s")
        ended = self._calls()
        show("worker, resident at most", f"{self._memory():8.0f} MiB")
        for phase, calls in (("create", created - before), ("delete", ended - resting)):
            show(f"calls for a pod, {phase}", f"{calls.total() / self.count:8.2f}  {said(calls, self.count)}")
        total = (self._served() - served) / self.count
        show("requests for a pod, by everybody", f"{total:8.2f}  (apiserver_request_total)")
        return ((created - before) + (ended - resting)).total() / self.count

    def _catalogue(self) -> None:
        unlimited = dict.fromkeys(("instances", "vcpus", "ram_mb", "disk_gb"), -1)
        self.service.made("/v1/admin/tenants", {"name": TENANT, "quota": unlimited})
        self.service.made("/v1/admin/flavors", {"name": "tiny", "vcpus": 1, "ram_mb": 64, "disk_gb": 1})
        references = {"kubernetes": "docker.io/library/busybox:1"}
        self.service.made("/v1/admin/images", {"name": "host", "references": references})

    def _create(self, count: int) -> None:
        path = f"/v1/tenants/{TENANT}/instances"
        had = len(self.service.instances())

        def one(number: int) -> None:
            where = BACKENDS[number % len(BACKENDS)]
            self.service.made(path, {"image": "host", "flavor": "tiny", "backend": where})

        with concurrent.futures.ThreadPoolExecutor(self.clients) as pool:
            list(pool.map(one, range(count)))
        self._until("active", lambda states: states["active"] == had + count)

    def _delete(self) -> None:
        def one(instance: dict[str, Any]) -> None:
            answer = self.service.call("DELETE", f"/v1/tenants/{TENANT}/instances/{instance['id']}")
            assert answer.status_code < 300, answer.text

        with concurrent.futures.ThreadPoolExecutor(self.clients) as pool:
            list(pool.map(one, self.service.instances()))
        self._until("gone", lambda states: not states)
        left = {cluster.name: cluster.pods() for cluster in self.clusters}
        assert not any(left.values()), f"pods without an instance: {left}"

    def _until(self, what: str, enough: Callable[[Calls], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not enough(
            states := collections.Counter(i["status"]["state"] for i in self.service.instances())
        ):
            assert time.monotonic() < end, f"not all {what}: {dict(states)}; {self.service.log('worker.log')}"
            time.sleep(1)

    def _calls(self) -> Calls:
        return sum((cluster.calls() for cluster in self.clusters), collections.Counter())

    def _served(self) -> int:
        return sum(cluster.served() for cluster in self.clusters)

    def _memory(self) -> float:
        """The most that the worker's processes had resident, in MiB."""
        total = 0
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
                group = os.getpgid(int(status.parent.name))
            except (OSError, ValueError):
                continue
            if any(group == worker.pid for worker in self.service.workers):
                total += int(re.search(r"VmHWM:\s+(\d+)", text)[1])  # type: ignore[index]
        return total / 1024


def said(calls: Calls, count: int = 1) -> str:
    return ", ".join(f"{name} {number / count:.4g}" for name, number in calls.most_common(8))


def show(name: str, figure: str) -> None:
    print(f"  {name:34} {figure}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=4, help="threads that create and delete")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clusters = [Cluster(name, pathlib.Path(folder)) for name in BACKENDS]
        try:
            for cluster in clusters:
                cluster.up()
            with (scale := Scale(clusters, asked.pods, asked.clients)).service:
                calls = scale.run()
        finally:
            for cluster in clusters:
                cluster.lab.down()
    show("calls for a pod, create to delete", f"{calls:8.2f}  (at most {MOST_CALLS:g})")
    return 0 if calls <= MOST_CALLS else 1


if __name__ == "__main__":
    raise SystemExit(main())
