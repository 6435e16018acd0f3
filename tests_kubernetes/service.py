"""apisvc itself on clusters: gunicorn and workers, with a backend for each kubeconfig."""

import contextlib
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

import kubernetes

from tests.functional import deployment
from tests_kubernetes import clusters

UNLIMITED = dict.fromkeys(("instances", "vcpus", "ram_mb", "disk_gb"), -1)
#: What an instance runs that is to go on.
FOREVER = "echo begun; exec sleep 100000"


class Service(deployment.Deployment):
    """A deployment on the clusters of ``kubeconfigs``: backend name -> path. ``options`` as of a Deployment.

    What it makes on a cluster is in namespaces that begin with ``prefix``, and gone with the test.
    """

    def __init__(
        self, kubeconfigs: Mapping[str, str], options: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.prefix = f"apisvc-test-{uuid.uuid4().hex[:8]}"
        self.kubeconfigs = dict(kubeconfigs)
        groups: dict[str, dict[str, Any]] = {
            # An owner of its own: what an earlier test has left is no orphan of this one.
            "DEFAULT": {"enabled_backends": ",".join(kubeconfigs), "deployment": self.prefix},
            "first": {"driver": None, "state_file": None},
            "api": {"rate_limit": 0},
            # Looks at everything are rare, so that what is noticed soon is noticed by the watch.
            "worker": {"lease_ttl": 5, "resync_interval": 60, "retry_min": 0.5, "retry_max": 5},
        }
        for name, path in self.kubeconfigs.items():
            groups[name] = {"driver": "kubernetes", "kubeconfig": path, "namespace_prefix": self.prefix}
            groups[name] |= {"run_as_user": 1000, "stop_grace": 1, "qps": 500, "burst": 1000}
        for group, values in (options or {}).items():
            groups.setdefault(group, {}).update(values)
        super().__init__(groups)

    def _setUp(self) -> None:
        self.addCleanup(self._clean)
        super()._setUp()
        self.start_api()
        self.start_worker()
        clusters.wait_for(
            lambda: f"the first look at each: {self.backends()}; {self.log('worker.log')}",
            lambda: all((one["health"] or {}).get("healthy") for one in self.backends()),
        )
        self.made("/v1/admin/flavors", {"name": "tiny", "vcpus": 1, "ram_mb": 32, "disk_gb": 0})
        self.made("/v1/admin/images", {"name": "box", "references": {"kubernetes": clusters.IMAGE}})

    def _clean(self) -> None:
        for path in self.kubeconfigs.values():
            # A lab of the test's own is gone by itself.
            if pathlib.Path(path).exists():
                core = kubernetes.client.CoreV1Api(clusters.api(path))
                for space in core.list_namespace().items:
                    if space.metadata.name.startswith(self.prefix):
                        core.delete_namespace(space.metadata.name)

    # Over HTTP

    def tenant(self, name: str, quota: Mapping[str, int] | None = None) -> str:
        """Make a tenant; its id."""
        return str(self.made("/v1/admin/tenants", {"name": name, "quota": quota or UNLIMITED})["id"])

    def create(self, tenant: str, script: str = FOREVER, **more: Any) -> str:
        """Ask for an instance that runs ``script``, until there is room for it; its id."""
        body = {"image": "box", "flavor": "tiny", "command": ["/bin/sh", "-c"], "args": [script], **more}
        return str(self.taken(f"/v1/tenants/{tenant}/instances", body)["id"])

    def show(self, tenant: str, instance: str) -> Any:
        """The instance, or None when it is gone."""
        answer = self.call("GET", f"/v1/tenants/{tenant}/instances/{instance}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(self, tenant: str, instance: str, action: str) -> None:
        self.made(f"/v1/tenants/{tenant}/instances/{instance}/actions", {"action": action})

    def delete(self, tenant: str, instance: str) -> None:
        answer = self.call("DELETE", f"/v1/tenants/{tenant}/instances/{instance}")
        assert answer.status_code in (202, 404), answer.text

    def until(self, tenant: str, instance: str, state: str, seconds: float = clusters.PATIENCE) -> Any:
        """The instance, once it is in ``state`` and nothing is outstanding."""

        def there() -> Any:
            found = self.show(tenant, instance)
            if found is None:
                return None
            status = found["status"]
            settled = status["observed_generation"] == found["generation"]
            return found if settled and status["state"] == state else None

        return clusters.wait_for(
            lambda: f"{state}: {self.show(tenant, instance)}; {self.log('worker.log')}", there, seconds
        )

    def until_gone(self, tenant: str, instance: str, seconds: float = clusters.PATIENCE) -> None:
        clusters.wait_for(
            lambda: f"gone: {self.show(tenant, instance)}; {self.log('worker.log')}",
            lambda: self.show(tenant, instance) is None,
            seconds,
        )

    def logs(self, tenant: str, instance: str) -> str:
        answer = self.call("GET", f"/v1/tenants/{tenant}/instances/{instance}/logs")
        assert answer.status_code == 200, answer.text
        return answer.text

    def usage(self, tenant: str) -> int:
        """How many instances the tenant's ledger says there are."""
        return int(self.call("GET", f"/v1/tenants/{tenant}/usage").json()["used"]["instances"])

    def backends(self) -> list[Any]:
        return list(self.call("GET", "/v1/admin/backends").json()["backends"])

    def events(self, action: str) -> list[Any]:
        """Admins' events of this action."""
        return [e for e in self.pages("/v1/admin/events", "events") if e["action"] == action]


class Cluster:
    """A cluster as its admin sees it, past apisvc."""

    def __init__(self, kubeconfig: str, prefix: str) -> None:
        self.core = kubernetes.client.CoreV1Api(clusters.api(kubeconfig))
        self.prefix = prefix

    def namespace(self, tenant: str) -> str:
        return f"{self.prefix}-{tenant}"

    def pods(self, tenant: str) -> dict[str, Any]:
        """Pods that are of instances: instance id -> pod. Fails when there are twins."""
        found: dict[str, Any] = {}
        for pod in self.core.list_namespaced_pod(self.namespace(tenant)).items:
            if instance := (pod.metadata.labels or {}).get("apisvc/instance"):
                assert instance not in found, f"two pods of {instance}"
                found[instance] = pod
        return found

    def pod(self, tenant: str, instance: str) -> Any:
        """The instance's pod, or None."""
        return clusters.Namespace.found(
            lambda: self.core.read_namespaced_pod(f"i-{instance}", self.namespace(tenant))
        )

    def delete_pod(self, tenant: str, instance: str) -> None:
        with contextlib.suppress(kubernetes.client.rest.ApiException):
            self.core.delete_namespaced_pod(f"i-{instance}", self.namespace(tenant), grace_period_seconds=0)
