"""Pods that others made: those that could be instances, and taking one under management where it is."""

import math
from collections.abc import Sequence

from apisvc.compute import base
from apisvc.compute.kubernetes import client, naming, objects, seen, watching

#: Namespaces of the cluster itself.
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_MIRROR = "kubernetes.io/config.mirror"


def strays(api: client.Client, names: naming.Naming, deadline: float) -> Sequence[base.Stray]:
    """Pods that no deployment owns and no controller would make again."""
    return [_stray(pod, names) for pod in _candidates(api, deadline)]


def adopt(
    api: client.Client, names: naming.Naming, workload: base.Workload, handle: str, deadline: float
) -> seen.Pod:
    """Let the pod of uid ``handle`` bear the tag of ``workload``."""
    pods, _ = api.listed(watching.PODS, objects.PodList, deadline=deadline)
    found = next((pod for pod in pods if pod.metadata.uid == handle), None)
    if found is None:
        raise base.NotFound("There is no such pod.")
    meta, tag = found.metadata, names.tag_of(workload)
    bears = meta.labels.get(naming.OWNER)
    if bears and (bears, meta.labels.get(naming.INSTANCE)) != (names.owner, workload.id):
        raise base.InvalidSpec("The pod belongs to another deployment or instance.")
    if not bears and not _adoptable(found):
        raise base.InvalidSpec(
            "The pod belongs to the cluster or to a controller, or has several containers."
        )
    change = {
        # Another pod of that name is refused with a conflict.
        "metadata": {
            "uid": meta.uid,
            "labels": names.labels(tag),
            "annotations": {**names.annotations(tag), naming.IMAGE: found.spec.containers[0].image},
        },
    }
    path = names.core(meta.namespace, "pods", meta.name)
    return seen.pod(api.merge(path, change, objects.Pod, deadline=deadline), names)


def _candidates(api: client.Client, deadline: float) -> list[objects.Pod]:
    pods, _ = api.listed(watching.PODS, objects.PodList, deadline=deadline, labelSelector=f"!{naming.OWNER}")
    return [pod for pod in pods if _adoptable(pod)]


def _adoptable(pod: objects.Pod) -> bool:
    meta = pod.metadata
    return (
        meta.namespace not in _SYSTEM
        and meta.deletion_timestamp is None
        and _MIRROR not in meta.annotations
        and not any(owner.controller for owner in meta.owner_references)
        and len(pod.spec.containers) == 1
        and pod.status.phase not in ("Succeeded", "Failed")
    )


def _stray(pod: objects.Pod, names: naming.Naming) -> base.Stray:
    container = pod.spec.containers[0]
    have = {
        name: objects.quantity(amount)
        for name, amount in {**container.resources.requests, **container.resources.limits}.items()
    }
    return base.Stray(
        handle=pod.metadata.uid,
        name=pod.metadata.name,
        phase=seen.pod(pod, names).observed.phase,
        image=container.image,
        vcpus=math.ceil(have.get("cpu", 0.0)),
        ram_mb=math.ceil(have.get("memory", 0.0) / (1 << 20)),
        disk_gb=math.ceil(have.get("ephemeral-storage", 0.0) / (1 << 30)),
        command=tuple(container.command),
        args=tuple(container.args),
        env={one.name: one.value for one in container.env if one.value_from is None},
        place=pod.metadata.namespace,
    )
