"""The lab is a real Kubernetes with a real node, survives what tests do to it, and leaves nothing."""

import json
import os
import pathlib
import signal

import kubernetes
import testtools
from kubernetes.client.rest import ApiException

from tests_kubernetes import clusters
from tools import processes


class TestNode(testtools.TestCase):
    """On the cluster that the tests are given, whichever it is."""

    def setUp(self) -> None:
        super().setUp()
        self.space = self.useFixture(clusters.Namespace(clusters.api()))

    def test_a_pod_runs_prints_and_obeys(self) -> None:
        self.space.run("talker", "sh", "-c", "echo to be read; sleep 1000")
        pod = self.space.running("talker")
        self.assertTrue(pod.status.pod_ip and pod.spec.node_name)
        self.assertEqual("to be read\n", self.space.core.read_namespaced_pod_log("talker", self.space.name))
        self.assertEqual(("uid=1000", 0), self._who())
        self.assertEqual(("", 3), self.space.execute("talker", "sh", "-c", "exit 3"))

    def _who(self) -> tuple[str, int]:
        said, code = self.space.execute("talker", "id")
        return said[: len("uid=1000")], code

    def test_how_it_ended(self) -> None:
        self.space.run("seven", "sh", "-c", "exit 7")
        limits = {"limits": {"memory": "32Mi", "cpu": "500m"}}
        self.space.run("greedy", "tail", "/dev/zero", resources=limits)
        ended = self.space.ended("seven")
        self.assertEqual(("Error", 7), (ended.reason, ended.exit_code))
        clusters.wait_for("it failed", lambda: self.space.pod("seven").status.phase == "Failed")
        ended = self.space.ended("greedy")
        self.assertEqual(("OOMKilled", 137), (ended.reason, ended.exit_code))

    def test_the_policy_of_the_namespace_is_enforced(self) -> None:
        for security in ({"privileged": True}, {}):
            error = self.assertRaises(ApiException, self.space.run, "bold", "id", securityContext=security)
            self.assertEqual(403, error.status)
            self.assertIn('violates PodSecurity "restricted', json.loads(error.body)["message"])

    def test_a_token_is_good_for_its_own_namespace_and_dies_with_its_account(self) -> None:
        name, core = self.space.name, self.space.core
        core.create_namespaced_service_account(name, {"metadata": {"name": "user"}})
        binding = {
            "metadata": {"name": "user"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "user", "namespace": name}],
        }
        kubernetes.client.RbacAuthorizationV1Api(core.api_client).create_namespaced_role_binding(
            name, binding
        )
        asked = {"spec": {"audiences": [], "expirationSeconds": 600}}
        token = core.create_namespaced_service_account_token("user", name, asked).status.token
        user = kubernetes.client.CoreV1Api(self._client(token))

        def status(namespace: str) -> int:
            try:
                user.list_namespaced_pod(namespace)
            except ApiException as error:
                return int(error.status)
            return 200

        clusters.wait_for("the role is known", lambda: status(name) == 200)
        self.assertEqual(403, status("default"))
        core.delete_namespaced_service_account("user", name)
        clusters.wait_for("the token is refused", lambda: status(name) == 401)

    def _client(self, token: str) -> kubernetes.client.ApiClient:
        known = self.space.core.api_client.configuration
        other = kubernetes.client.Configuration(host=known.host)
        other.ssl_ca_cert = known.ssl_ca_cert
        other.api_key = {"BearerToken": f"Bearer {token}"}
        return kubernetes.client.ApiClient(other)


class TestLab(testtools.TestCase):
    """On one of its own, beside the other."""

    def test_killed_servers_come_back_and_pods_never_notice(self) -> None:
        own = self.useFixture(clusters.Lab(real=True))
        space = self.useFixture(clusters.Namespace(own.client()))
        space.run("steady", "sh", "-c", "echo one; sleep 1000")
        before = space.running("steady")
        own.restart_api()
        self.assertEqual(before.metadata.uid, space.pod("steady").metadata.uid)
        own.node.kill("kubelet")
        own.node.kill("containerd")
        clusters.wait_for("the node is missed", lambda: own.lab.node_name not in own.lab.ready_nodes())
        own.node.up()
        after = space.running("steady")
        self.assertEqual(0, after.status.container_statuses[0].restart_count)
        # A kubelet that has just come back knows its pods a moment later than the API server does.
        said = clusters.wait_for("the log", lambda: space.found(lambda: self._log(space, "steady")))
        self.assertEqual("one\n", said)

    @staticmethod
    def _log(space: clusters.Namespace, name: str) -> str:
        return str(space.core.read_namespaced_pod_log(name, space.name))

    def test_nothing_is_left_whatever_was_killed(self) -> None:
        kernel = [
            pathlib.Path("/proc/sys") / name for name in ("net/ipv4/ip_forward", "vm/overcommit_memory")
        ]
        before = [path.read_text() for path in kernel]
        own = clusters.Lab(real=True)
        interfaces: set[str] = set()
        with own:
            space = clusters.Namespace(own.client())
            space.setUp()  # its end is that of the lab
            space.run("steady", "sleep", "1000")
            space.running("steady")
            interfaces = {own.node.bridge, *os.listdir(f"/sys/class/net/{own.node.bridge}/brif")}
            self.assertGreater(len(interfaces), 1)
            # The first process of the node takes the others with it; a shim of containerd's goes alone.
            shims = processes.find(own.lab.folder, "containerd", "containerd-shim-runc-v2")
            self.assertTrue(shims)
            for process in (*shims, *processes.find(own.lab.folder, "kube-apiserver")):
                os.kill(process, signal.SIGKILL)
            own.node.kill("node")
            self.assertTrue(own.remains())
        self.assertEqual([], own.remains())
        self.assertEqual(before, [path.read_text() for path in kernel])
        self.assertEqual(set(), interfaces & set(os.listdir("/sys/class/net")))
