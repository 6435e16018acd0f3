"""Anchors: ConfigMaps that say of an instance what its pod cannot, because it is to go or gone. Pure.

A running instance has none, so it costs nothing. One at rest has an anchor in
place of its pod. One whose pod must be made anew (a start after an exit, a
reboot, another spec) has one that holds the next pod, because Kubernetes takes
a name twice only one after the other. As long as an anchor exists, it is what is
wished, and whoever looks at the instance carries it on.
"""

import dataclasses
import json
from typing import Any

from apisvc.compute import base
from apisvc.compute.kubernetes import naming, objects, seen

Phase = base.Phase

_POWER = "apisvc/power"
_PHASE = "apisvc/phase"
_REPLACES = "apisvc/replaces"
_REASON = "apisvc/reason"


@dataclasses.dataclass(frozen=True, slots=True)
class Anchor:
    namespace: str
    name: str
    uid: str
    version: int
    tag: base.Tag
    #: ``stopped``: at rest. ``running``: ``manifest`` is made when the pod ``replaces`` (a uid) is gone.
    power: str
    #: What the instance is meanwhile, when it is to run.
    phase: Phase
    replaces: str
    reboots: int
    volumes: bool
    manifest: str
    reason: str = ""

    @property
    def instance_id(self) -> str:
        return self.tag.instance_id


def manifest(
    tag: base.Tag,
    names: naming.Naming,
    *,
    power: str,
    reboots: int,
    volumes: bool,
    phase: Phase = Phase.STARTING,
    replaces: str = "",
    pod: dict[str, Any] | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """The ConfigMap of an anchor."""
    annotations = {
        **names.annotations(tag),
        _POWER: power,
        _PHASE: phase.value,
        _REPLACES: replaces,
        _REASON: reason,
        naming.REBOOTS: str(reboots),
    }
    if volumes:
        annotations[naming.VOLUMES] = "yes"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.pod(tag.instance_id),
            "namespace": names.namespace(tag.tenant_id),
            "labels": {**names.labels(tag), naming.PART: "anchor"},
            "annotations": annotations,
        },
        "data": {"pod": json.dumps(pod)} if pod else {},
    }


def read(found: objects.ConfigMap, names: naming.Naming) -> Anchor:
    meta = found.metadata
    said = meta.annotations
    phase = said.get(_PHASE, "")
    return Anchor(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        version=seen.version(meta.resource_version),
        tag=names.tag(meta),
        power=said.get(_POWER, "stopped"),
        phase=Phase(phase) if phase in set(Phase) else Phase.STARTING,
        replaces=said.get(_REPLACES, ""),
        reboots=int(said[naming.REBOOTS]) if said.get(naming.REBOOTS, "").isdecimal() else 0,
        volumes=naming.VOLUMES in said,
        manifest=found.data.get("pod", ""),
        reason=said.get(_REASON, ""),
    )
