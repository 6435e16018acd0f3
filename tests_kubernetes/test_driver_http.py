"""Instances on a real node through HTTP: gunicorn, a worker, the Kubernetes driver, a kubelet."""

import pathlib
import re

import fixtures
import kubernetes
import testtools
from kubernetes.client.rest import ApiException

from tests_kubernetes import clusters, service


class TestInstances(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        path = clusters.kubeconfig()
        # What an earlier test had on the one node takes its room for some seconds more.
        looks = {"resync_interval": 1, "capacity_interval": 1}
        self.service = self.useFixture(service.Service({"east": path}, {"worker": looks}))
        self.cluster = service.Cluster(path, self.service.prefix)
        self.tenant = self.service.tenant("acme", {"instances": 5, "vcpus": 5, "ram_mb": 1000, "disk_gb": 5})

    def status(self, instance: str):  # type: ignore[no-untyped-def]
        return self.service.show(self.tenant, instance)["status"]

    def test_from_create_to_delete(self) -> None:
        made = self.service.create(
            self.tenant,
            'echo "$GREETING and $PASSWORD"; exec sleep 100000',
            env={"GREETING": "hello"},
            secret_env={"PASSWORD": "hunter2"},
        )
        found = self.service.until(self.tenant, made, "active")["status"]
        pod = self.cluster.pod(self.tenant, made)
        self.assertEqual([pod.status.pod_ip], found["addresses"])
        self.assertNotIn("hunter2", str(pod))
        clusters.wait_for(
            lambda: f"it printed: {self.service.logs(self.tenant, made)!r}",
            lambda: self.service.logs(self.tenant, made) == "hello and hunter2\n",
        )

        self.service.act(self.tenant, made, "stop")
        self.service.until(self.tenant, made, "stopped")
        clusters.wait_for("the pod is gone", lambda: self.cluster.pod(self.tenant, made) is None)
        self.assertEqual("", self.service.logs(self.tenant, made))
        self.service.act(self.tenant, made, "start")
        self.service.until(self.tenant, made, "active")
        second = self.cluster.pod(self.tenant, made).metadata.uid
        self.assertNotEqual(pod.metadata.uid, second)

        self.service.act(self.tenant, made, "reboot")
        clusters.wait_for(
            "another pod", lambda: (one := self.cluster.pod(self.tenant, made)) and one.metadata.uid != second
        )
        self.service.until(self.tenant, made, "active")
        self.assertEqual({made}, self.cluster.pods(self.tenant).keys())

        self.service.delete(self.tenant, made)
        self.service.until_gone(self.tenant, made)
        self.assertEqual({}, self.cluster.pods(self.tenant))
        selector = f"apisvc/instance={made}"
        space, core = self.cluster.namespace(self.tenant), self.cluster.core
        self.assertEqual([], core.list_namespaced_secret(space, label_selector=selector).items)
        self.assertEqual([], core.list_namespaced_config_map(space, label_selector=selector).items)
        self.assertEqual(0, self.service.usage(self.tenant))

    def test_people_are_let_in(self) -> None:
        made = self.service.create(self.tenant)
        self.service.until(self.tenant, made, "active")
        command = ["sh", "-c", "read word; echo got $word; echo bad >&2; exit 3"]
        path = f"/v1/tenants/{self.tenant}/instances/{made}/exec"
        answer = self.service.call("POST", path, {"command": command, "stdin": "soap\n"})
        self.assertEqual(200, answer.status_code, answer.text)
        ended = answer.json()
        self.assertEqual(("got soap\n", "bad\n", 3), (ended["stdout"], ended["stderr"], ended["exit_code"]))

        path = f"/v1/tenants/{self.tenant}/backends/east/credentials"
        answer = self.service.call("POST", path, {"seconds": 600})
        self.assertEqual(201, answer.status_code, answer.text)
        issued = answer.json()
        self.assertEqual("kubeconfig", issued["kind"])
        given = self.useFixture(fixtures.TempDir()).join("kubeconfig")
        pathlib.Path(given).write_text(issued["content"])
        core = kubernetes.client.CoreV1Api(clusters.api(given))
        (pod,) = core.list_namespaced_pod(self.cluster.namespace(self.tenant)).items
        self.assertEqual(made, pod.metadata.labels["apisvc/instance"])
        refused = self.assertRaises(ApiException, core.list_namespaced_pod, "default")
        self.assertEqual(403, refused.status)
        answer = self.service.call("DELETE", f"{path}/{issued['id']}")
        self.assertEqual(204, answer.status_code, answer.text)

        def locked_out() -> bool:
            try:
                core.list_namespaced_pod(self.cluster.namespace(self.tenant))
            except ApiException as error:
                return error.status in (401, 403)
            return False

        clusters.wait_for("the revoked credential is refused", locked_out)
        told = {event["action"] for event in self.service.pages("/v1/admin/events", "events")}
        self.assertLessEqual({"instance.exec", "credential.create", "credential.delete"}, told)

    def test_how_it_ended(self) -> None:
        seven = self.service.create(self.tenant, "echo said; exit 7", restart_policy="never")
        greedy = self.service.create(self.tenant, "exec tail /dev/zero", restart_policy="never")
        found = self.service.until(self.tenant, seven, "stopped")["status"]
        self.assertEqual(7, found["exit_code"])
        clusters.wait_for("its output", lambda: self.service.logs(self.tenant, seven) == "said\n")
        found = self.service.until(self.tenant, greedy, "stopped")["status"]
        self.assertEqual(("OOMKilled", 137), (found["reason"], found["exit_code"]))

    def test_one_that_crashes_is_started_again_and_told(self) -> None:
        made = self.service.create(self.tenant, "exit 3", restart_policy="always")
        clusters.wait_for(
            lambda: f"restarts: {self.status(made)}",
            lambda: self.status(made)["restarts"] and "3" in self.status(made)["message"],
        )

    def test_what_kubernetes_refuses_is_told_in_its_words(self) -> None:
        made = self.service.create(self.tenant, env={"A": "1"}, ports=[80])
        self.service.until(self.tenant, made, "active")
        # A lab's node has room for two at the same time.
        self.service.delete(self.tenant, made)
        self.service.until_gone(self.tenant, made)
        space = self.cluster.namespace(self.tenant)
        limits = {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]}
        self.cluster.core.create_namespaced_limit_range(space, {"metadata": {"name": "no"}, "spec": limits})
        refused = self.service.create(self.tenant)
        fault = clusters.wait_for("a fault", lambda: self.status(refused)["fault"])
        self.assertEqual("invalid_spec", fault["code"])
        self.assertIn("maximum memory usage per Container is 1Mi", fault["message"])

    def test_a_pod_has_no_more_rights_than_it_needs(self) -> None:
        token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
        script = f"exec 2>&1; cat /proc/self/status; cat {token}; mount -t tmpfs x /mnt; echo end"
        made = self.service.create(self.tenant, script, restart_policy="never")
        self.service.until(self.tenant, made, "stopped")
        # The runtime may tell of the end before it has written the last lines.
        clusters.wait_for("all its output", lambda: "end\n" in self.service.logs(self.tenant, made))
        said = self.service.logs(self.tenant, made)
        self.assertRegex(said, r"CapEff:\s0+\n")
        self.assertRegex(said, r"NoNewPrivs:\s1\n")
        self.assertRegex(said, r"Uid:\s1000\s")
        self.assertRegex(said, r"Seccomp:\s2\n")
        self.assertIn("No such file or directory", said)
        self.assertTrue(
            re.search(r"mount: .*(permission denied|Operation not permitted|must be root)", said), said
        )

    def test_its_namespace_lets_nobody_in_and_nothing_dangerous_run(self) -> None:
        made = self.service.create(self.tenant)
        self.service.until(self.tenant, made, "active")
        space, core = self.cluster.namespace(self.tenant), self.cluster.core
        found = kubernetes.client.VersionApi(core.api_client).get_code()
        evils = (
            {"hostNetwork": True},
            {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
            {"containers": [{"name": "c", "image": "x:1", "securityContext": {"privileged": True}}]},
        )
        # Older ones know no pod security: there only apisvc, which has no such fields, stands before it.
        for evil in evils if int(re.sub(r"\D", "", found.minor)) >= 23 else ():
            spec = {"containers": [{"name": "c", "image": "x:1"}], **evil}
            error = self.assertRaises(
                ApiException, core.create_namespaced_pod, space, {"metadata": {"name": "evil"}, "spec": spec}
            )
            self.assertEqual(403, error.status)
        (policy,) = (
            kubernetes.client.NetworkingV1Api(core.api_client).list_namespaced_network_policy(space).items
        )
        self.assertEqual(["Ingress", "Egress"], policy.spec.policy_types)
        self.assertIsNone(policy.spec.ingress)
        account = core.read_namespaced_service_account("default", space)
        self.assertIs(False, account.automount_service_account_token)
        quota = core.read_namespaced_resource_quota("apisvc", space)
        self.assertEqual("5", quota.spec.hard["pods"])

    def test_two_tenants_are_apart(self) -> None:
        other = self.service.tenant("bolt")
        mine, theirs = self.service.create(self.tenant, name="web"), self.service.create(other, name="web")
        for tenant, made in ((self.tenant, mine), (other, theirs)):
            self.service.until(tenant, made, "active")
            self.assertEqual({made}, self.cluster.pods(tenant).keys())
        token = self.member(other)
        for path in (f"acme/instances/{mine}", f"acme/instances/{mine}/logs", f"bolt/instances/{mine}"):
            self.assertEqual(404, self.service.call("GET", f"/v1/tenants/{path}", token=token).status_code)
        answer = self.service.call("DELETE", f"/v1/admin/tenants/{other}")
        self.assertIn(answer.status_code, (202, 204), answer.text)
        clusters.wait_for("its namespace is gone", lambda: not self.namespace(other))
        self.service.until(self.tenant, mine, "active")

    def member(self, tenant: str) -> str:
        """The token of a new member of ``tenant``."""
        user = self.service.made("/v1/admin/users", {"name": "somebody"})["id"]
        answer = self.service.call("PUT", f"/v1/admin/tenants/{tenant}/members/{user}", {"role": "member"})
        self.assertLess(answer.status_code, 300, answer.text)
        return str(self.service.made(f"/v1/admin/users/{user}/tokens", {})["token"])

    def test_an_image_that_is_not_there_is_told(self) -> None:
        reference = {"kubernetes": "registry.invalid/none:1"}
        self.service.made("/v1/admin/images", {"name": "none", "references": reference})
        made = self.service.create(self.tenant, image="none")
        clusters.wait_for(
            lambda: f"the reason: {self.status(made)}",
            lambda: self.status(made)["reason"] in ("ErrImagePull", "ImagePullBackOff"),
        )
        self.service.delete(self.tenant, made)
        self.service.until_gone(self.tenant, made)

    def namespace(self, tenant: str):  # type: ignore[no-untyped-def]
        name = self.cluster.namespace(tenant)
        return clusters.Namespace.found(lambda: self.cluster.core.read_namespace(name))
