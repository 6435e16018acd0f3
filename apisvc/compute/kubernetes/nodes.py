"""The machines of a cluster: what they have, what is taken, how they are; and keeping new pods away from one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from apisvc.compute import base
from apisvc.compute.kubernetes import client, objects

_NODES = "/api/v1/nodes"
_MIB, _GIB = 1 << 20, 1 << 30


def listed(api: client.Client, deadline: float) -> Sequence[base.Node]:
    """All nodes, with what all pods of the cluster have asked of each."""
    nodes, _ = api.listed(_NODES, objects.NodeList, deadline=deadline)
    placed, _ = api.listed(
        "/api/v1/pods",
        objects.PlacedList,
        deadline=deadline,
        fieldSelector="status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!=",
    )
    used = taken(placed)
    return [node(found, used.get(found.metadata.name, {})) for found in nodes]


def cordon(api: client.Client, name: str, schedulable: bool, deadline: float) -> base.Node:
    """Set it; the node as it is then, without what is used of it."""
    change = {"spec": {"unschedulable": None if schedulable else True}}
    try:
        found = api.merge(f"{_NODES}/{_path(name)}", change, objects.Node, deadline=deadline)
    except base.NotFound:
        raise base.NotFound("There is no such node.") from None
    return node(found, None)


def taken(pods: Sequence[objects.Placed]) -> dict[str, dict[str, float]]:
    """Node -> resource -> what the pods on it request."""
    used: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pod in pods:
        for container in pod.spec.containers:
            for resource, amount in container.resources.requests.items():
                used[pod.spec.node_name][resource] += objects.quantity(amount)
    return used


def node(found: objects.Node, used: Mapping[str, float] | None) -> base.Node:
    """``used`` None: not asked."""
    status = found.status
    have = {name: objects.quantity(amount) for name, amount in status.allocatable.items()}
    ready = any(one.type == "Ready" and one.status == "True" for one in status.conditions)
    return base.Node(
        name=found.metadata.name,
        ready=ready,
        schedulable=not found.spec.unschedulable,
        vcpus=have.get("cpu"),
        ram_mb=_whole(have, "memory", _MIB),
        disk_gb=_whole(have, "ephemeral-storage", _GIB),
        vcpus_used=None if used is None else round(used.get("cpu", 0.0), 3),
        ram_mb_used=None if used is None else int(used.get("memory", 0.0) / _MIB),
        disk_gb_used=None if used is None else int(used.get("ephemeral-storage", 0.0) / _GIB),
        detail=_detail(found),
    )


def _detail(found: objects.Node) -> Mapping[str, str]:
    status, info = found.status, found.status.node_info
    detail = {
        "kubelet": info.kubelet_version,
        "os": info.os_image,
        "kernel": info.kernel_version,
        "architecture": info.architecture,
        "container_runtime": info.container_runtime_version,
    }
    detail.update({f"capacity.{name}": str(amount) for name, amount in sorted(status.capacity.items())})
    for one in status.conditions:
        detail[f"condition.{one.type}"] = f"{one.status} {one.reason}".strip()
    return {name: text for name, text in detail.items() if text}


def _whole(have: Mapping[str, float], name: str, unit: int) -> int | None:
    return int(have[name] / unit) if name in have else None


def _path(name: str) -> str:
    if not name or "/" in name or name in (".", "..") or not name.isprintable():
        raise base.NotFound("There is no such node.")
    return name
