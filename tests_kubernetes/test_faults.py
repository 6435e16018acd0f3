"""The service through HTTP while Kubernetes' own servers are killed, and when its token has ended.

Nodes are kwok's, so that there can be many pods; a control plane of the test's own is what is broken.
"""

import json
import pathlib
import threading
from collections.abc import Callable

import kubernetes

from tests_kubernetes import clusters, faulty, service

MANY = 50


class TestKilledApiServer(faulty.Faulty):
    def test_in_the_middle_of_creates_deletes_and_a_removal(self) -> None:
        doomed = [self.service.create("globex") for _ in range(5)]
        self.until_active("globex", set(doomed))
        with self.interrupted(lambda: len(self.active("acme")) > MANY // 5):
            wanted = {self.service.create("acme") for _ in range(MANY)}
        self.until_active("acme", wanted)
        self.assert_real(self.acme, wanted)

        some = sorted(wanted)[: MANY * 4 // 5]
        with self.interrupted(lambda: len(self.service.instances("acme")) < MANY * 9 // 10):
            self.assertLess(self.service.call("DELETE", "/v1/admin/tenants/globex").status_code, 300)
            self.several(lambda one: self.service.delete("acme", one), some)
        left = wanted - set(some)
        clusters.wait_for(
            lambda: (
                f"deleted: {len(self.service.instances('acme'))} are left: {self.service.log('worker.log')}"
            ),
            lambda: {one["id"] for one in self.service.instances("acme")} == left,
        )
        self.until_active("acme", left)
        self.assert_real(self.acme, left)
        clusters.wait_for(
            lambda: f"the tenant is gone: {self.service.log('worker.log')}",
            lambda: self.service.call("GET", "/v1/admin/tenants/globex").status_code == 404,
        )
        space = self.cluster.namespace(self.globex)
        self.assertIsNone(clusters.Namespace.found(lambda: self.cluster.core.read_namespace(space)))

    def interrupted(self, when: Callable[[], bool]) -> "Interrupted":
        """Around what the API server is killed in the middle of, as soon as ``when``."""
        return Interrupted(self.own, when)


class Interrupted:
    """Kills the API server once a condition holds, and starts it again a little later."""

    def __init__(self, own: clusters.Lab, when: Callable[[], bool]) -> None:
        self._own = own
        self._when = when
        self._failed: list[Exception] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._thread.join(600)
        assert not self._thread.is_alive()
        if self._failed:
            raise self._failed[0]

    def _run(self) -> None:
        try:
            clusters.wait_for("the moment to kill it", self._when)
            self._own.restart_api()
        except Exception as failed:
            self._failed.append(failed)


class TestTwoClusters(faulty.Faulty):
    def setUp(self) -> None:
        self.other = clusters.Lab(kwok=1)
        super().setUp()

    def kubeconfigs(self) -> dict[str, str]:
        self.useFixture(self.other)
        return {**super().kubeconfigs(), "west": self.other.kubeconfig}

    def test_one_that_is_away_keeps_nobody_else_waiting_and_loses_nothing(self) -> None:
        west = service.Cluster(self.other.kubeconfig, self.service.prefix)
        one, two = (self.service.create("acme", backend=name) for name in ("east", "west"))
        self.until_active("acme", {one, two})
        self.assertEqual(({one}, {two}), (set(self.cluster.pods(self.acme)), set(west.pods(self.acme))))
        before = west.pod(self.acme, two).metadata.uid
        self.other.lab.kill("kube-apiserver")
        waiting = self.service.create("acme", backend="west")
        more = {self.service.create("acme", backend="east") for _ in range(10)}
        clusters.wait_for(
            lambda: f"active beside it: {self.active('acme')}: {self.service.log('worker.log')}",
            lambda: more <= self.active("acme"),
        )
        # Nothing is known of it, so it is as it was.
        self.assertEqual("active", self.service.show("acme", two)["status"]["state"])
        fault = clusters.wait_for(
            lambda: f"a fault: {self.service.show('acme', waiting)}",
            lambda: self.service.show("acme", waiting)["status"]["fault"],
        )
        self.assertEqual(("unavailable", True), (fault["code"], fault["retryable"]))
        self.other.lab.start("kube-apiserver")
        self.until_active("acme", {one, two, waiting, *more})
        self.assertEqual({two, waiting}, set(west.pods(self.acme)))
        self.assertEqual(before, west.pod(self.acme, two).metadata.uid)


class TestKubeletGone(faulty.Faulty):
    real = True

    def test_what_waits_for_it_goes_on_when_it_is_back(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        own = self.own
        own.node.kill("kubelet")
        clusters.wait_for("the node is missed", lambda: own.lab.node_name not in own.lab.ready_nodes())
        # It may well run on, so it is neither lost nor made twice.
        self.assertEqual({one}, self.active("acme"))
        two = self.service.create("acme")
        clusters.wait_for(
            lambda: f"the reason: {self.service.show('acme', two)}",
            lambda: self.service.show("acme", two)["status"]["reason"] == "Unschedulable",
        )
        self.service.delete("acme", one)
        clusters.wait_for("its pod shall end", lambda: self.ends(one))
        self.assertEqual("deleting", self.service.show("acme", one)["status"]["state"])
        own.node.start("kubelet")
        self.service.until_gone("acme", one)
        self.service.until("acme", two, "active")
        self.assert_real(self.acme, {two})

    def ends(self, instance: str) -> bool:
        pod = self.cluster.pod(self.acme, instance)
        return pod is not None and pod.metadata.deletion_timestamp is not None


class TestTokens(faulty.Faulty):
    """The driver's credentials are a token in a file, which somebody renews, as it is in a pod of the cluster."""

    def kubeconfigs(self) -> dict[str, str]:
        self.admin = kubernetes.client.CoreV1Api(self.own.client())
        self.admin.create_namespaced_service_account("default", {"metadata": {"name": "apisvc"}})
        binding = {
            "metadata": {"name": "apisvc"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "apisvc", "namespace": "default"}],
        }
        kubernetes.client.RbacAuthorizationV1Api(self.admin.api_client).create_cluster_role_binding(binding)
        folder = pathlib.Path(self.useFixture(clusters.fixtures.TempDir()).path)
        self.token = folder / "token"
        self.token.write_text(self.issue("first"))
        known = self.own.lab.kubeconfig_for({"tokenFile": str(self.token)})
        (folder / "kubeconfig").write_text(json.dumps(known))
        return {"east": str(folder / "kubeconfig")}

    def issue(self, name: str) -> str:
        """A token that ends with the Secret ``name``."""
        secret = self.admin.create_namespaced_secret("default", {"metadata": {"name": name}})
        bound = {"kind": "Secret", "apiVersion": "v1", "name": name, "uid": secret.metadata.uid}
        asked = {"spec": {"audiences": [], "expirationSeconds": 3600, "boundObjectRef": bound}}
        issued = self.admin.create_namespaced_service_account_token("apisvc", "default", asked)
        return str(issued.status.token)

    def test_renewed_after_the_old_one_had_ended(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        self.admin.delete_namespaced_secret("first", "default")
        clusters.wait_for("the token is refused", self.refused)
        two = self.service.create("acme")
        clusters.wait_for(
            lambda: f"a fault: {self.service.show('acme', two)}",
            lambda: (self.service.show("acme", two)["status"]["fault"] or {}).get("code") == "unauthorized",
        )
        self.token.write_text(self.issue("second"))
        self.service.until("acme", two, "active")
        self.assert_real(self.acme, {one, two})

    def refused(self) -> bool:
        """By now also by what the API server remembers of tokens."""
        known = kubernetes.client.Configuration(host=self.own.lab.server)
        known.ssl_ca_cert = str(self.own.lab.authority)
        known.api_key = {"BearerToken": f"Bearer {self.token.read_text()}"}
        try:
            kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(known)).list_node()
        except kubernetes.client.rest.ApiException as error:
            return bool(error.status == 401)
        return False
