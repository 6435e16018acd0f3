"""What the driver costs the API server, and what it does about hands other than its own."""

import dataclasses
import tempfile
import threading
import time
import unittest
import uuid

import kubernetes

from apisvc.compute import base
from apisvc.compute.kubernetes import driver
from apisvc.testing import backends
from tests_kubernetes import clusters

#: API calls for a pod from create to delete, the watch not counted.
BUDGET = 5


class DriverCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.prefix = f"apisvc-test-{uuid.uuid4().hex[:8]}"
        self.driver = driver.KubernetesDriver(
            backends.context(
                driver.KubernetesDriver,
                owner=self.prefix,
                state_dir=folder.name,
                kubeconfig=clusters.kubeconfig(),
                namespace_prefix=self.prefix,
                run_as_user=1000,
                stop_grace=1,
                **self.options(),
            )
        )
        self.addCleanup(self.driver.close)
        self.tenant = backends.tenant(str(uuid.uuid4()), instances=5, vcpus=4)
        self.addCleanup(self.remove_tenant, self.tenant.id)
        self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        self.core = kubernetes.client.CoreV1Api(clusters.api())
        self.namespace = f"{self.prefix}-{self.tenant.id}"

    def options(self) -> dict[str, object]:
        return {}

    def soon(self) -> float:
        return time.monotonic() + clusters.PATIENCE

    def remove_tenant(self, tenant_id: str) -> None:
        clusters.wait_for(
            "the tenant is removed", lambda: self.driver.remove_tenant(tenant_id, deadline=self.soon())
        )

    def workload(self, **fields: object) -> base.Workload:
        small = {"tenant": self.tenant, "image": clusters.IMAGE, "vcpus": 0, "ram_mb": 16, "disk_gb": 0}
        return backends.workload(
            str(uuid.uuid4()), **{**small, "command": ["/bin/sh", "-c"], "args": ["exec sleep 600"], **fields}
        )

    def look(self, workload: base.Workload) -> base.Observed | None:
        return next(iter(self.driver.observe([workload.id], deadline=self.soon())), None)

    def until(self, workload: base.Workload, phase: base.Phase) -> base.Observed:
        def there() -> base.Observed | None:
            seen = self.look(workload)
            return seen if seen and seen.phase is phase else None

        found: base.Observed = clusters.wait_for(lambda: f"{phase}: {self.look(workload)}", there)
        return found

    def run_one(self, **fields: object) -> base.Workload:
        workload = self.workload(**fields)
        self.driver.ensure(workload, deadline=self.soon())
        self.until(workload, base.Phase.RUNNING)
        return workload

    def delete(self, workload: base.Workload) -> None:
        clusters.wait_for(
            "it is deleted",
            lambda: self.driver.delete(workload.id, self.tenant.id, deadline=self.soon()),
        )

    def watch(self) -> list[str]:
        """Follow the driver's watch until the end of the test; what it tells."""
        heard: list[str] = []
        stop = threading.Event()

        def follow() -> None:
            for instance_id in self.driver.watch(stop=stop):
                heard.append(instance_id)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(stop.set)
        clusters.wait_for("the watch begins", lambda: heard)
        return heard


class TestCalls(DriverCase):
    def count(self) -> list[str]:
        """A list that every request made from now on is added to."""
        made: list[str] = []
        send = self.driver._api._try

        def counted(current, ask, deadline):  # type: ignore[no-untyped-def]
            made.append(str(ask))
            return send(current, ask, deadline)

        self.driver._api._try = counted  # type: ignore[method-assign]
        return made

    def test_a_pod_costs_what_it_must(self) -> None:
        self.watch()
        for secret, calls in (({}, 3), ({"PASSWORD": "hunter2"}, 4)):
            made = self.count()
            workload = self.run_one(secret_env=secret)
            for _ in range(20):
                self.look(workload)
                self.driver.ensure(workload, deadline=self.soon())
            self.delete(workload)
            self.assertLessEqual(calls, BUDGET)
            self.assertEqual(calls, len(made), made)

    def test_a_tenant_that_has_not_changed_costs_nothing(self) -> None:
        made = self.count()
        for _ in range(3):
            self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        self.assertEqual([], made)
        changed = dataclasses.replace(self.tenant, limits={**self.tenant.limits, "vcpus": 7})
        self.driver.ensure_tenant(changed, deadline=self.soon())
        quota = self.core.read_namespaced_resource_quota("apisvc", self.namespace)
        self.assertEqual("7", quota.spec.hard["requests.cpu"])
        self.assertNotIn("requests.memory", quota.spec.hard)
        unlimited = backends.tenant(self.tenant.id)
        self.driver.ensure_tenant(unlimited, deadline=self.soon())
        self.assertEqual([], self.core.list_namespaced_resource_quota(self.namespace).items)


class TestHands(DriverCase):
    """Somebody else's hands on our pods."""

    def pod(self, workload: base.Workload):  # type: ignore[no-untyped-def]
        return self.core.read_namespaced_pod(f"i-{workload.id}", self.namespace)

    def patch(self, workload: base.Workload, body: object) -> None:
        self.core.patch_namespaced_pod(f"i-{workload.id}", self.namespace, body)

    def test_an_image_that_was_changed_is_seen_and_set_back(self) -> None:
        heard, workload = self.watch(), self.run_one()
        heard.clear()
        self.patch(workload, {"spec": {"containers": [{"name": "main", "image": f"{clusters.IMAGE[:-1]}2"}]}})
        clusters.wait_for("it is told", lambda: workload.id in heard)
        clusters.wait_for("it is of another spec", lambda: self.look(workload).tag.spec_hash == "")
        self.driver.ensure(workload, deadline=self.soon())
        clusters.wait_for("it is as before", lambda: self.look(workload).tag.spec_hash == "spec-1")
        self.assertEqual(clusters.IMAGE, self.pod(workload).spec.containers[0].image)

    def test_labels_that_were_taken_off_are_seen_and_put_back(self) -> None:
        heard, workload = self.watch(), self.run_one()
        heard.clear()
        before = self.look(workload)
        self.patch(workload, {"metadata": {"labels": {"apisvc/owner": None}}})
        clusters.wait_for("it is told", lambda: workload.id in heard)
        clusters.wait_for("it is not ours", lambda: self.look(workload) is None)
        self.driver.ensure(workload, deadline=self.soon())
        self.assertEqual(before, self.until(workload, base.Phase.RUNNING))

    def test_a_pod_deleted_by_somebody_is_made_again(self) -> None:
        heard, workload = self.watch(), self.run_one()
        heard.clear()
        self.core.delete_namespaced_pod(f"i-{workload.id}", self.namespace, grace_period_seconds=0)
        clusters.wait_for("it is told", lambda: workload.id in heard)
        clusters.wait_for("it is gone", lambda: self.look(workload) is None)
        self.driver.ensure(workload, deadline=self.soon())
        self.until(workload, base.Phase.RUNNING)

    def test_a_pod_of_others_in_the_namespace_is_neither_seen_nor_touched(self) -> None:
        workload = self.run_one()
        other = self.pod(workload)
        other.metadata = {"name": "somebodys"}
        other.spec.node_name = None
        other.status = None
        self.core.create_namespaced_pod(self.namespace, other)
        seen = self.driver.observe(deadline=self.soon())
        self.assertEqual([workload.id], [one.tag.instance_id for one in seen])
        self.delete(workload)
        self.assertIsNone(
            self.core.read_namespaced_pod("somebodys", self.namespace).metadata.deletion_timestamp
        )

    def test_a_quota_of_somebody_else(self) -> None:
        self.core.create_namespaced_resource_quota(
            self.namespace, {"metadata": {"name": "theirs"}, "spec": {"hard": {"pods": "0"}}}
        )
        clusters.wait_for(
            "it counts",
            lambda: (
                self.core.read_namespaced_resource_quota("theirs", self.namespace).status.hard is not None
            ),
        )

        def refused() -> base.DriverError | None:
            workload = self.workload()
            try:
                self.driver.ensure(workload, deadline=self.soon())
            except base.BackendQuota as error:
                return error
            self.delete(workload)  # the API server did not know the quota yet
            return None

        self.assertIn("exceeded quota: theirs", clusters.wait_for("it is refused", refused).message)

    def test_a_pod_of_a_spec_that_cannot_be_changed_is_recreated_and_says_so(self) -> None:
        self.watch()
        workload = self.run_one(secret_env={"PASSWORD": "hunter2"})
        first = self.look(workload)
        changed = dataclasses.replace(workload, spec_hash="two", args=["exec sleep 601"])
        told = self.driver.ensure(changed, deadline=self.soon())
        self.assertEqual((base.Phase.CREATING, "Recreated"), (told.phase, told.reason))
        after = self.until(changed, base.Phase.RUNNING)
        self.assertEqual("two", after.tag.spec_hash)
        self.assertNotEqual(first.handle, after.handle)
        self.delete(changed)
        selector = f"apisvc/instance={workload.id}"
        left = self.core.list_namespaced_secret(self.namespace, label_selector=selector).items
        self.assertEqual([], left, "no Secret of either spec is left")


class TestUnschedulable(DriverCase):
    def options(self) -> dict[str, object]:
        return {"node_selector": {"no-such-label": "anywhere"}}

    def test_it_says_why_it_does_not_run(self) -> None:
        workload = self.workload()
        self.driver.ensure(workload, deadline=self.soon())
        clusters.wait_for("a reason", lambda: self.look(workload).reason == "Unschedulable")
        seen = self.look(workload)
        self.assertEqual(base.Phase.CREATING, seen.phase)
        self.assertIn("nodes are available", seen.message)
        self.delete(workload)


class TestImage(DriverCase):
    def test_one_that_cannot_be_had(self) -> None:
        workload = self.workload(image="registry.invalid/nothing:1")
        self.driver.ensure(workload, deadline=self.soon())
        clusters.wait_for(
            lambda: f"a reason: {self.look(workload)}",
            lambda: self.look(workload).reason in ("ErrImagePull", "ImagePullBackOff"),
        )
        self.assertEqual(base.Phase.CREATING, self.look(workload).phase)
        self.delete(workload)
