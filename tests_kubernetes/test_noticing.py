"""The service through HTTP while its watch is cut off, or its pods are edited behind its back: it notices."""

import json
import pathlib

from tests.functional import wire
from tests_kubernetes import clusters, faulty

#: Somebody's deed behind our back is noticed, and mended, within so many seconds.
NOTICED = 5.0


class Proxied(faulty.Faulty):
    def kubeconfigs(self) -> dict[str, str]:
        """By way of a proxy."""
        self.proxy = self.useFixture(wire.Proxy(self.own.lab.server.removeprefix("https://")))
        known = json.loads(self.own.lab.kubeconfig.read_text())
        known["clusters"][0]["cluster"]["server"] = self.proxy.endpoint.replace("http:", "https:")
        path = pathlib.Path(self.proxy.useFixture(clusters.fixtures.TempDir()).path) / "kubeconfig"
        path.write_text(json.dumps(known))
        return {"east": str(path)}


class TestWatch(Proxied):
    def test_cut_and_silent(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        for fault in ("cut", "silent"):
            before = self.cluster.pod(self.acme, one).metadata.uid
            self.proxy.mute = fault == "silent"
            if fault == "cut":
                self.proxy.cut()
            self.cluster.delete_pod(self.acme, one)
            clusters.wait_for("it is gone", lambda: self.cluster.pod(self.acme, one) is None)
            if fault == "silent":
                # What was on its way is lost with the connection.
                self.proxy.cut()
                self.proxy.mute = False
            clusters.wait_for(
                lambda fault=fault: f"made again after {fault}: {self.service.log('worker.log')}",
                lambda before=before: self.made_again(one, before),
            )
            self.service.until("acme", one, "active")
        self.assert_real(self.acme, {one})


class TestForgotten(Proxied):
    """Without its watch cache the API server knows no more of what was than its etcd does."""

    options = {"kube-apiserver": ["--watch-cache=false"]}

    def test_a_watch_that_comes_back_too_late_lists_anew(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        before = self.cluster.pod(self.acme, one).metadata.uid
        self.proxy.mute = True
        self.cluster.delete_pod(self.acme, one)
        clusters.wait_for("it is gone", lambda: self.cluster.pod(self.acme, one) is None)
        self.own.forget()
        self.proxy.mute = False
        self.proxy.cut()
        clusters.wait_for(
            lambda: f"made again: {self.service.log('worker.log')}", lambda: self.made_again(one, before)
        )
        self.service.until("acme", one, "active")
        self.assertIn("forgotten how far", self.service.log("worker.log"))
        self.assert_real(self.acme, {one})


class TestBehindOurBack(faulty.Faulty):
    looks = 60

    def test_a_deleted_pod_is_noticed_soon_and_made_again(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        before = self.cluster.pod(self.acme, one).metadata.uid
        self.cluster.delete_pod(self.acme, one)
        clusters.wait_for(
            lambda: f"made again: {self.service.log('worker.log')}",
            lambda: self.made_again(one, before),
            NOTICED,
        )
        self.service.until("acme", one, "active")
        self.assert_real(self.acme, {one})

    def test_an_edited_pod_is_noticed_soon_and_made_as_asked(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        name, space = f"i-{one}", self.cluster.namespace(self.acme)
        image = clusters.IMAGE.replace(":1", ":2")
        patch = {"spec": {"containers": [{"name": "main", "image": image}]}}
        self.cluster.core.patch_namespaced_pod(name, space, patch)

        def right() -> bool:
            pod = self.cluster.pod(self.acme, one)
            return pod is not None and pod.spec.containers[0].image == clusters.IMAGE

        clusters.wait_for(lambda: f"as asked: {self.service.log('worker.log')}", right, NOTICED)
        self.service.until("acme", one, "active")
        self.assert_real(self.acme, {one})

    def test_foreign_pods_are_left_alone_and_ours_without_an_instance_reported(self) -> None:
        one = self.service.create("acme")
        self.service.until("acme", one, "active")
        labels = self.cluster.pod(self.acme, one).metadata.labels
        space = self.cluster.namespace(self.acme)
        self.foreign(space, "foreign", {"app": "foreign"})
        self.foreign(space, "lost", {**labels, "apisvc/instance": "0123lost"})
        found = clusters.wait_for(
            lambda: f"an orphan: {self.service.log('worker.log')}",
            lambda: self.service.events("orphan.found"),
        )
        self.assertEqual({"0123lost"}, {event["target"]["id"] for event in found})
        self.service.delete("acme", one)
        self.service.until_gone("acme", one)
        names = {pod.metadata.name for pod in self.cluster.core.list_namespaced_pod(space).items}
        self.assertEqual({"foreign", "lost"}, names)

    def foreign(self, space: str, name: str, labels: dict[str, str]) -> None:
        identity = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        container = {
            "name": "main",
            "image": clusters.IMAGE,
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec = {"containers": [container], "securityContext": identity}
        self.cluster.core.create_namespaced_pod(
            space, {"metadata": {"name": name, "labels": labels}, "spec": spec}
        )
