"""The cluster that the tests are given, and clusters of a test's own that it may break.

``tox -e kubernetes`` gives them one of ``tools.kubernetes``, or the one of ``KUBECONFIG``. There they keep to
namespaces of their own.
"""

import contextlib
import itertools
import json
import os
import pathlib
import unittest
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fixtures
import kubernetes
from kubernetes.client.rest import ApiException

from tests.functional import deployment
from tools import processes
from tools.kubernetes import lab, node, programs

#: There is one like it wherever tests run: on the lab's node, or to be had by a cluster's own.
IMAGE = "docker.io/library/busybox:1"
#: How long a machine that is busy may take for what is normally done in a few seconds.
PATIENCE = 180.0

_numbers = itertools.count()


def kubeconfig() -> str:
    """The path of the kubeconfig of the cluster to test on."""
    if path := os.environ.get("KUBECONFIG"):
        return path
    raise AssertionError("there is no cluster: run 'tox -e kubernetes', or set KUBECONFIG")


def api(path: str | None = None) -> Any:
    """A client of the cluster of the kubeconfig ``path``, by default of the one to test on."""
    return kubernetes.config.new_client_from_config(path or kubeconfig())


def require_lab() -> None:
    """SkipTest where the cluster is somebody's, for then there is none that may be broken."""
    if not os.environ.get("APISVC_TEST_LAB"):
        raise unittest.SkipTest("NOT RUN: it kills servers of Kubernetes; unset KUBECONFIG to have a lab")


def wait_for(
    what: str | Callable[[], object], condition: Callable[[], Any], seconds: float = PATIENCE
) -> Any:
    return deployment.wait_for(what, condition, seconds)


class Lab(fixtures.Fixture):
    """A cluster of the test's own, with ``kwok`` nodes or (``real``) a real one; nothing of it stays.

    ``options``: more command-line options for a server, by the server's name.
    """

    def __init__(
        self, kwok: int = 0, *, real: bool = False, options: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        # Here, for a fixture that is being set up cannot skip its test.
        require_lab()
        if kwok and not programs.kubernetes().has("kwok"):
            raise unittest.SkipTest("NOT RUN: its nodes are kwok's, which comes with Go only")
        super().__init__()
        self.kwok = kwok
        self.real = real
        self.options = options

    def _setUp(self) -> None:
        self.lab = lab.Lab(f"test{os.getpid()}-{next(_numbers)}")
        self.node = node.Node(self.lab)
        self.addCleanup(self.lab.down)
        self.lab.own()
        self.lab.up(self.options)
        if self.kwok:
            self.lab.kwok_nodes(self.kwok)
        if self.real:
            self.node.up()

    @property
    def kubeconfig(self) -> str:
        return str(self.lab.kubeconfig)

    def client(self) -> Any:
        return api(self.kubeconfig)

    def restart_api(self) -> None:
        """SIGKILL for the API server, and a new one."""
        self.lab.kill("kube-apiserver")
        self.lab.start("kube-apiserver")

    def forget(self) -> None:
        """Compact the cluster's etcd: no watch can begin before this moment any more."""
        now = self._etcd("range", {"key": "AA=="})["header"]["revision"]
        self._etcd("compaction", {"revision": now, "physical": True})

    def _etcd(self, call: str, asked: Mapping[str, object]) -> Any:
        body = json.dumps(asked).encode()
        with urllib.request.urlopen(f"{self.lab.etcd}/v3/kv/{call}", body, timeout=30) as answer:
            return json.load(answer)

    def remains(self) -> list[str]:
        """What is left on the machine of what :meth:`down` should have taken away."""
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        left = [f"process {number}" for number in processes.find(self.lab.folder)]
        left += [line for line in mounts if str(self.lab.folder) in line]
        left += [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob(f"**/{self.node.group}")]
        left += [name for name in os.listdir("/sys/class/net") if name == self.node.bridge]
        return left + ([str(self.lab.folder)] if self.lab.folder.exists() else [])


class Namespace(fixtures.Fixture):
    """A namespace of the test's own, gone with it. ``enforce``: its level of pod security."""

    def __init__(self, client: Any, enforce: str = "restricted") -> None:
        super().__init__()
        self.core = kubernetes.client.CoreV1Api(client)
        self.name = f"apisvc-test-{uuid.uuid4().hex[:8]}"
        self.enforce = enforce

    def _setUp(self) -> None:
        labels = {"pod-security.kubernetes.io/enforce": self.enforce}
        self.addCleanup(self._remove)
        self.core.create_namespace({"metadata": {"name": self.name, "labels": labels}})
        # Until then it refuses pods.
        wait_for("a default service account", lambda: self.found(self._account))

    def _account(self) -> Any:
        return self.core.read_namespaced_service_account("default", self.name)

    def _remove(self) -> None:
        with contextlib.suppress(ApiException):
            self.core.delete_namespace(self.name)
        wait_for(f"{self.name} is gone", lambda: not self.found(lambda: self.core.read_namespace(self.name)))

    @staticmethod
    def found(read: Callable[[], Any]) -> Any:
        """What ``read`` answers, or None when it is not there."""
        try:
            return read()
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    # Pods

    def run(self, name: str, *command: str, **container: Any) -> Any:
        """Make a pod that passes ``restricted``; ``container`` is more for its only container."""
        secure = {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        made = {
            "name": "main",
            "image": IMAGE,
            "command": list(command),
            "securityContext": secure,
            **container,
        }
        spec = {"containers": [made], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
        return self.core.create_namespaced_pod(self.name, {"metadata": {"name": name}, "spec": spec})

    def pod(self, name: str) -> Any:
        return self.core.read_namespaced_pod(name, self.name)

    def running(self, name: str) -> Any:
        """The pod, once it is Running and ready."""

        def ready() -> Any:
            pod = self.pod(name)
            statuses = pod.status.container_statuses or ()
            return pod if pod.status.phase == "Running" and all(s.ready for s in statuses) else None

        return wait_for(lambda: f"{name} runs; it is {self.pod(name).status}", ready)

    def ended(self, name: str) -> Any:
        """How the pod's container ended, once it did."""

        def terminated() -> Any:
            statuses = self.pod(name).status.container_statuses or ()
            return statuses[0].state.terminated if statuses else None

        return wait_for(lambda: f"{name} ends; it is {self.pod(name).status}", terminated)

    def execute(self, name: str, *command: str) -> tuple[str, int]:
        """What ``command`` printed in the pod, and its exit code."""
        call = self.core.connect_get_namespaced_pod_exec
        # The stream wrapper changes the client it is given.
        own = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(call.__self__.api_client.configuration))
        stream = kubernetes.stream.stream(
            own.connect_get_namespaced_pod_exec,
            name,
            self.name,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        stream.run_forever(timeout=60)
        return stream.read_stdout() + stream.read_stderr(), stream.returncode
