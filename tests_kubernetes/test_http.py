"""The whole service through HTTP, with pods that really run on the cluster that the tests are given."""

import testtools

from tests_kubernetes import clusters, service


class TestOnARealNode(testtools.TestCase):
    """One instance at a time, for the node may have no more than two processors."""

    def setUp(self) -> None:
        super().setUp()
        path = clusters.kubeconfig()
        self.service = self.useFixture(service.Service({"east": path}))
        self.acme = self.service.tenant("acme")
        self.cluster = service.Cluster(path, self.service.prefix)
        self.addCleanup(self.remove, "acme", self.acme)

    def remove(self, tenant: str, tenant_id: str) -> None:
        """Take the tenant away; it takes its namespace with it."""
        self.service.call("DELETE", f"/v1/admin/tenants/{tenant}")
        clusters.wait_for(
            lambda: f"{tenant} is removed: {self.service.log('worker.log')}",
            lambda: self.service.call("GET", f"/v1/admin/tenants/{tenant}").status_code == 404,
        )
        names = {space.metadata.name for space in self.cluster.core.list_namespace().items}
        self.assertNotIn(self.cluster.namespace(tenant_id), names)

    def test_the_life_of_an_instance(self) -> None:
        one = self.service.create("acme")
        shown = self.service.until("acme", one, "active")
        first = self.cluster.pod(self.acme, one)
        self.assertEqual([first.status.pod_ip], shown["status"]["addresses"])
        self.assertEqual(first.spec.node_name, shown["status"]["node"])
        self.until_said(one, "begun\n")

        self.service.act("acme", one, "stop")
        self.service.until("acme", one, "stopped")
        self.assertIsNone(self.cluster.pod(self.acme, one))
        self.service.act("acme", one, "start")
        self.service.until("acme", one, "active")
        second = self.cluster.pod(self.acme, one)
        self.service.act("acme", one, "reboot")
        self.service.until("acme", one, "active")
        third = self.cluster.pod(self.acme, one)
        self.assertEqual(3, len({pod.metadata.uid for pod in (first, second, third)}))

        self.service.delete("acme", one)
        self.service.until_gone("acme", one)
        self.assertEqual({}, self.cluster.pods(self.acme))
        self.assertEqual(0, self.service.usage("acme"))

    def until_said(self, instance: str, text: str) -> None:
        clusters.wait_for(lambda: f"it says {text!r}", lambda: self.service.logs("acme", instance) == text)

    def test_how_it_ends_is_seen(self) -> None:
        for script, reason, code in (("exit 7", "Error", 7), ("exec tail /dev/zero", "OOMKilled", 137)):
            one = self.service.create("acme", script, restart_policy="never")
            status = self.service.until("acme", one, "stopped")["status"]
            self.assertEqual((reason, code), (status["reason"], status["exit_code"]))
            self.assertIsNotNone(status["finished_at"])
            self.service.delete("acme", one)
            self.service.until_gone("acme", one)

    def test_an_image_that_is_not_there(self) -> None:
        reference = {"kubernetes": "registry.invalid/none:1"}
        self.service.made("/v1/admin/images", {"name": "none", "references": reference})
        one = self.service.create("acme", image="none")
        clusters.wait_for(
            lambda: f"the reason: {self.service.show('acme', one)}",
            lambda: (
                self.service.show("acme", one)["status"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
            ),
        )
        self.service.delete("acme", one)
        self.service.until_gone("acme", one)

    def test_it_may_nothing_on_its_node(self) -> None:
        """No root, no token, no mount of the host, no capability, and no way to any."""
        script = "id -u; ls -d /var/run/secrets 2>/dev/null; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status"
        one = self.service.create("acme", f"({script}) | tr -d ' \\t'; exec sleep 100000")
        self.service.until("acme", one, "active")
        self.until_said(one, "1000\nCapEff:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n")
        spec = self.cluster.pod(self.acme, one).spec
        self.assertEqual([], [v for v in spec.volumes or () if v.host_path or v.projected])
        self.assertFalse(spec.host_network or spec.host_pid or spec.host_ipc)

    def test_tenants_do_not_see_each_other(self) -> None:
        globex = self.service.tenant("globex")
        self.addCleanup(self.remove, "globex", globex)
        ours, theirs = (self.service.create(tenant, name="same") for tenant in ("acme", "globex"))
        for tenant, instance in (("acme", ours), ("globex", theirs)):
            self.service.until(tenant, instance, "active")
        token = self.member("globex")
        for path in (f"acme/instances/{ours}", f"acme/instances/{ours}/logs", f"globex/instances/{ours}"):
            self.assertEqual(404, self.service.call("GET", f"/v1/tenants/{path}", token=token).status_code)
        self.assertEqual({ours}, set(self.cluster.pods(self.acme)))
        self.assertEqual({theirs}, set(self.cluster.pods(globex)))

    def member(self, tenant: str) -> str:
        """The token of a new member of ``tenant``."""
        user = self.service.made("/v1/admin/users", {"name": f"of-{tenant}"})["id"]
        answer = self.service.call("PUT", f"/v1/admin/tenants/{tenant}/members/{user}", {"role": "member"})
        self.assertLess(answer.status_code, 300, answer.text)
        return str(self.service.made(f"/v1/admin/users/{user}/tokens", {})["token"])
