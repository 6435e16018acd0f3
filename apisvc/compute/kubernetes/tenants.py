"""What a tenant has on a cluster: a namespace of its own, closed in by quota, limits and network policy."""

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any

from apisvc.compute import base
from apisvc.compute.kubernetes import client, manifests, naming, objects, options, refusals

Manifest = dict[str, Any]

#: Seconds that a tenant is taken for made; then all is applied again, whatever others did to it.
GOOD_FOR = 600.0
#: Where DNS may be asked: any pod of the cluster, and a cache on the node (its usual address).
_DNS_CACHE = "169.254.20.10/32"


class Tenants:
    def __init__(self, api: client.Client, names: naming.Naming, settings: options.Settings) -> None:
        self._api = api
        self._names = names
        self._settings = settings
        self._lock = threading.Lock()
        self._made: dict[str, tuple[base.TenantView, float]] = {}

    def ensure(self, tenant: base.TenantView, deadline: float) -> None:
        # PERF: nothing is asked while nothing has changed.
        with self._lock:
            known, until = self._made.get(tenant.id, (None, 0.0))
        if known == tenant and time.monotonic() < until:
            return
        namespace = self._names.namespace(tenant.id)
        self._require_ours(namespace, deadline)
        wanted, unwanted = parts(tenant, namespace, self._names, self._settings)
        for path, part in wanted:
            self._api.apply(path, part, objects.Bare, deadline=deadline)
        for path in unwanted:
            self._api.delete(path, deadline=deadline)
        with self._lock:
            self._made[tenant.id] = (tenant, time.monotonic() + GOOD_FOR)

    def doubt(self, tenant_id: str) -> None:
        """Its namespace was found missing or going."""
        with self._lock:
            self._made.pop(tenant_id, None)

    def remove(self, tenant_id: str, deadline: float) -> bool:
        self.doubt(tenant_id)
        try:
            namespace = self._names.namespace(tenant_id)
        except base.InvalidSpec:
            return True  # it cannot have been made
        path = f"/api/v1/namespaces/{namespace}"
        found = self._api.get(path, objects.Namespace, deadline=deadline)
        if found is None or found.metadata.labels.get(naming.OWNER) != self._names.owner:
            return True
        if found.metadata.deletion_timestamp is None:
            self._api.delete(path, uid=found.metadata.uid, deadline=deadline)
        return False

    def _require_ours(self, namespace: str, deadline: float) -> None:
        found = self._api.get(f"/api/v1/namespaces/{namespace}", objects.Namespace, deadline=deadline)
        if found is None:
            return
        if found.metadata.deletion_timestamp is not None:
            raise base.InProgress("What the tenant had on the cluster is still being removed.")
        if found.metadata.labels.get(naming.OWNER) != self._names.owner:
            raise base.InvalidSpec(
                f"The namespace {namespace!r} is not this deployment's; the operators must give the backend "
                "another namespace_prefix."
            )


def parts(
    tenant: base.TenantView, namespace: str, names: naming.Naming, settings: options.Settings
) -> tuple[list[tuple[str, Manifest]], list[str]]:
    """What to apply, in this order, and the paths of what must not be there."""
    core = f"/api/v1/namespaces/{namespace}"
    policies = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{refusals.QUOTA}"
    wanted = [
        (core, _namespace(tenant, namespace, names)),
        (
            f"{core}/serviceaccounts/default",
            _part("v1", "ServiceAccount", "default", namespace, automountServiceAccountToken=False),
        ),
        (
            f"{core}/limitranges/{refusals.QUOTA}",
            _part("v1", "LimitRange", refusals.QUOTA, namespace, spec={"limits": [limits(tenant)]}),
        ),
    ]
    unwanted = []
    optional: list[tuple[str, Manifest | None]] = [
        (f"{core}/resourcequotas/{refusals.QUOTA}", _quota(tenant, namespace)),
        (policies, _network_policy(namespace, settings.network_policy)),
        (f"{core}/secrets/{manifests.PULL_SECRET}", _pull_secret(namespace, settings)),
    ]
    for path, part in optional:
        if part is None:
            unwanted.append(path)
        else:
            wanted.append((path, part))
    return wanted, unwanted


def _namespace(tenant: base.TenantView, namespace: str, names: naming.Naming) -> Manifest:
    made = _part("v1", "Namespace", namespace, None)
    made["metadata"]["labels"] = {
        naming.OWNER: names.owner,
        naming.TENANT: tenant.id,
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    made["metadata"]["annotations"] = {"apisvc/name": tenant.name, naming.CONTRACT: base.CONTRACT}
    return made


def _part(version: str, kind: str, name: str, namespace: str | None, **fields: Any) -> Manifest:
    meta: Manifest = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": meta, **fields}


def quota(limits: Mapping[str, int]) -> dict[str, str]:
    """The tenant's quota as a ResourceQuota has it; what is unlimited is not in it."""
    names = {
        "instances": (("pods",), ""),
        "vcpus": (("requests.cpu", "limits.cpu"), ""),
        "ram_mb": (("requests.memory", "limits.memory"), "Mi"),
        # Of limits nothing is said: an instance without a disk has none.
        "disk_gb": (("requests.ephemeral-storage",), "Gi"),
    }
    return {
        resource: f"{limits[name]}{unit}"
        for name, (resources, unit) in names.items()
        for resource in resources
        if limits.get(name, -1) >= 0
    }


def limits(tenant: base.TenantView) -> Manifest:
    """What a container gets that says nothing (none of ours), so that it counts in the quota too."""
    default = {"cpu": "500m", "memory": "256Mi"}
    return {
        "type": "Container",
        "default": default,
        "defaultRequest": {**default, "ephemeral-storage": "1Gi"},
    }


def _quota(tenant: base.TenantView, namespace: str) -> Manifest | None:
    hard = quota(tenant.limits)
    if not hard:
        return None
    return _part("v1", "ResourceQuota", refusals.QUOTA, namespace, spec={"hard": hard})


def _network_policy(namespace: str, policy: str) -> Manifest | None:
    if policy == "none":
        return None
    dns = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    spec: Manifest = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            {"ports": dns, "to": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": _DNS_CACHE}}]},
        ],
    }
    if policy == "tenant":
        spec["ingress"] = [{"from": [{"podSelector": {}}]}]
        spec["egress"].append({"to": [{"podSelector": {}}]})
    return _part("networking.k8s.io/v1", "NetworkPolicy", refusals.QUOTA, namespace, spec=spec)


def _pull_secret(namespace: str, settings: options.Settings) -> Manifest | None:
    if not settings.image_pull_secret:
        return None
    try:
        with open(settings.image_pull_secret, "rb") as file:
            content = file.read()
    except OSError as error:
        raise base.Unavailable("The credentials for the image registries cannot be read.") from error
    return _part(
        "v1",
        "Secret",
        manifests.PULL_SECRET,
        namespace,
        type="kubernetes.io/dockerconfigjson",
        data={".dockerconfigjson": base64.b64encode(content).decode()},
    )
