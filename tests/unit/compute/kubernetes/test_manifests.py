import dataclasses
import json
import unittest

from apisvc.compute import base
from apisvc.compute.kubernetes import manifests, naming, tenants
from apisvc.testing import backends
from tests.unit.compute.kubernetes import cluster

SECRET = "correct-horse"


def workload(**fields):
    given = {
        "tenant": backends.tenant("t"),
        "image": "registry.example:5000/team/app:1.0",
        "vcpus": 2,
        "ram_mb": 512,
        "disk_gb": 3,
        "name": "web",
        **fields,
    }
    return backends.workload("abc", **given)


def pod(settings=None, **fields):
    return manifests.pod(workload(**fields), settings or cluster.settings(), cluster.NAMES)


class TestPod(unittest.TestCase):
    def test_it_bears_the_tag(self):
        meta = pod(reboots=2)["metadata"]
        self.assertEqual(("i-abc", "apisvc-t"), (meta["name"], meta["namespace"]))
        self.assertEqual(
            {"apisvc/owner": "me", "apisvc/tenant": "t", "apisvc/instance": "abc"}, meta["labels"]
        )
        self.assertEqual("spec-1", meta["annotations"][naming.SPEC_HASH])
        self.assertEqual(base.CONTRACT, meta["annotations"][naming.CONTRACT])
        self.assertEqual("2", meta["annotations"][naming.REBOOTS])

    def test_it_passes_restricted_and_mounts_no_token(self):
        spec = pod()["spec"]
        self.assertFalse(spec["automountServiceAccountToken"])
        self.assertEqual(
            {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, spec["securityContext"]
        )
        (container,) = spec["containers"]
        self.assertEqual(
            {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            container["securityContext"],
        )
        self.assertFalse({"hostNetwork", "hostPID", "hostIPC", "volumes", "serviceAccountName"} & spec.keys())

    def test_the_flavor_is_asked_for_and_bounds_it(self):
        resources = pod()["spec"]["containers"][0]["resources"]
        amounts = {"cpu": "2", "memory": "512Mi", "ephemeral-storage": "3Gi"}
        self.assertEqual({"requests": amounts, "limits": amounts}, resources)
        self.assertEqual(
            {
                "requests": {"cpu": "2", "memory": "512Mi", "ephemeral-storage": "0Gi"},
                "limits": {"cpu": "2", "memory": "512Mi"},
            },
            pod(disk_gb=0)["spec"]["containers"][0]["resources"],
        )

    def test_what_it_runs(self):
        made = pod(command=["a"], args=["b", "$(c)"], ports=[80, 80, 22], restart_policy="on-failure")
        (container,) = made["spec"]["containers"]
        self.assertEqual((["a"], ["b", "$(c)"]), (container["command"], container["args"]))
        self.assertEqual([22, 80], [port["containerPort"] for port in container["ports"]])
        self.assertEqual("OnFailure", made["spec"]["restartPolicy"])
        self.assertEqual("web", made["spec"]["hostname"])
        self.assertNotIn("hostname", pod(name="No Host Name")["spec"])

    def test_secrets_are_only_in_the_secret(self):
        asked = workload(env={"A": "1", "B": "plain"}, secret_env={"B": SECRET})
        made = manifests.pod(asked, cluster.settings(), cluster.NAMES)
        self.assertNotIn(SECRET, json.dumps(made))
        secret = manifests.secret(asked, cluster.NAMES)
        self.assertEqual({"B": SECRET}, secret["stringData"])
        env = {one["name"]: one for one in made["spec"]["containers"][0]["env"]}
        reference = {"secretKeyRef": {"name": secret["metadata"]["name"], "key": "B"}}
        self.assertEqual({"name": "B", "valueFrom": reference}, env["B"])
        later = manifests.secret(dataclasses.replace(asked, spec_hash="spec-2"), cluster.NAMES)
        self.assertNotEqual(secret["metadata"]["name"], later["metadata"]["name"])

    def test_a_variable_is_told_as_it_was_given(self):
        env = pod(env={"A": "$(B) $B $$(C)"})["spec"]["containers"][0]["env"]
        self.assertEqual({"name": "A", "value": "$$(B) $B $$$(C)"}, env[0])

    def test_options_of_the_backend(self):
        made = pod(
            cluster.settings(
                node_selector={"pool": "x"},
                tolerations=["a=b:NoExecute"],
                runtime_class="gvisor",
                image_pull_policy="Always",
                image_pull_secret="/etc/config.json",
                run_as_user=7,
                stop_grace=3,
            )
        )["spec"]
        self.assertEqual({"pool": "x"}, made["nodeSelector"])
        self.assertEqual("NoExecute", made["tolerations"][0]["effect"])
        self.assertEqual(
            ("gvisor", 3, 7),
            (
                made["runtimeClassName"],
                made["terminationGracePeriodSeconds"],
                made["securityContext"]["runAsUser"],
            ),
        )
        self.assertEqual("Always", made["containers"][0]["imagePullPolicy"])
        self.assertEqual([{"name": "apisvc-pull"}], made["imagePullSecrets"])

    def test_volumes(self):
        asked, settings = workload(volumes=[5, 7]), cluster.settings(storage_class="fast")
        claims = manifests.volumes(asked, settings, cluster.NAMES)
        spec = manifests.pod(asked, settings, cluster.NAMES)["spec"]
        names = [claim["metadata"]["name"] for claim in claims]
        self.assertEqual(names, [one["persistentVolumeClaim"]["claimName"] for one in spec["volumes"]])
        self.assertEqual(
            ["/mnt/volume-0", "/mnt/volume-1"],
            [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]],
        )
        self.assertEqual(
            [("5Gi", "fast"), ("7Gi", "fast")],
            [
                (one["spec"]["resources"]["requests"]["storage"], one["spec"]["storageClassName"])
                for one in claims
            ],
        )

    def test_images(self):
        for good in ("busybox", "busybox:1", "a.b/c/d:e@sha256:" + "0" * 64, "localhost:5000/x_y/z-1"):
            self.assertEqual(good, pod(image=good)["spec"]["containers"][0]["image"])
        for bad in ("", "NOT AN IMAGE", "a//b", "a:b:c", "http://x/y", "-x"):
            with self.assertRaisesRegex(base.InvalidSpec, "container image"):
                pod(image=bad)

    def test_ids_that_are_no_names(self):
        for odd in ("", "a/b", "x" * 60, "A", "-a"):
            with self.assertRaises(base.InvalidSpec):
                cluster.NAMES.pod(odd)
            with self.assertRaises(base.InvalidSpec):
                cluster.NAMES.namespace(odd)

    def test_the_hash_of_the_pod_is_of_what_cannot_be_changed(self):
        def told(**fields):
            return pod(**fields)["metadata"]["annotations"][naming.POD_HASH]

        self.assertEqual(told(), told(spec_hash="other", labels={"a": "b"}, flavor="x"))
        self.assertNotEqual(told(), told(args=["x"]))


class TestTenant(unittest.TestCase):
    def parts(self, settings=None, **limits):
        tenant = backends.tenant("t", **limits)
        wanted, unwanted = tenants.parts(tenant, "apisvc-t", cluster.NAMES, settings or cluster.settings())
        return {part["kind"]: part for _, part in wanted}, unwanted

    def test_closed_in(self):
        parts, _ = self.parts(vcpus=4, instances=2)
        labels = parts["Namespace"]["metadata"]["labels"]
        self.assertEqual("restricted", labels["pod-security.kubernetes.io/enforce"])
        self.assertEqual(("me", "t"), (labels[naming.OWNER], labels[naming.TENANT]))
        self.assertFalse(parts["ServiceAccount"]["automountServiceAccountToken"])
        self.assertEqual(
            {"pods": "2", "requests.cpu": "4", "limits.cpu": "4"}, parts["ResourceQuota"]["spec"]["hard"]
        )
        policy = parts["NetworkPolicy"]["spec"]
        self.assertEqual(({}, ["Ingress", "Egress"]), (policy["podSelector"], policy["policyTypes"]))
        self.assertNotIn("ingress", policy)
        self.assertEqual([53, 53], [one["port"] for rule in policy["egress"] for one in rule["ports"]])

    def test_without_limits_there_is_no_quota(self):
        parts, unwanted = self.parts()
        self.assertNotIn("ResourceQuota", parts)
        self.assertIn("/api/v1/namespaces/apisvc-t/resourcequotas/apisvc", unwanted)

    def test_other_policies(self):
        parts, _ = self.parts(cluster.settings(network_policy="tenant"))
        self.assertEqual([{"from": [{"podSelector": {}}]}], parts["NetworkPolicy"]["spec"]["ingress"])
        parts, unwanted = self.parts(cluster.settings(network_policy="none"))
        self.assertNotIn("NetworkPolicy", parts)
        self.assertEqual(1, sum("networkpolicies" in path for path in unwanted))

    def test_quota_in_kubernetes_words(self):
        self.assertEqual(
            {
                "pods": "1",
                "requests.memory": "512Mi",
                "limits.memory": "512Mi",
                "requests.ephemeral-storage": "0Gi",
            },
            tenants.quota({"instances": 1, "vcpus": -1, "ram_mb": 512, "disk_gb": 0}),
        )
