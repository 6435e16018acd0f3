"""Kubernetes' objects, as far as the driver reads them.

PERF: everything else in an answer is skipped while it is decoded, so a list of
thousands of pods costs a fraction of the client library's full models.
"""

import datetime
from typing import Any

import msgspec


class Struct(msgspec.Struct, rename="camel"):
    pass


class ListMeta(msgspec.Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_: str = msgspec.field(default="", name="continue")


class OwnerReference(Struct):
    kind: str = ""
    controller: bool = False


class Meta(Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []
    creation_timestamp: datetime.datetime | None = None
    deletion_timestamp: datetime.datetime | None = None


class EnvVar(Struct):
    name: str
    value: str = ""
    value_from: dict[str, Any] | None = None


class Resources(Struct):
    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class Container(Struct):
    name: str
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    env: list[EnvVar] = []
    resources: Resources = msgspec.field(default_factory=Resources)


class PodSpec(Struct):
    containers: list[Container] = []
    node_name: str = ""
    restart_policy: str = "Always"


class Running(Struct):
    started_at: datetime.datetime | None = None


class Waiting(Struct):
    reason: str = ""
    message: str = ""


class Terminated(Struct):
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None


class ContainerState(Struct):
    running: Running | None = None
    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(Struct):
    name: str = ""
    restart_count: int = 0
    state: ContainerState = msgspec.field(default_factory=ContainerState)
    last_state: ContainerState = msgspec.field(default_factory=ContainerState)


class Condition(Struct):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodIP(Struct):
    ip: str = ""


class PodStatus(Struct):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []
    pod_ips: list[PodIP] = msgspec.field(default_factory=list, name="podIPs")


class Pod(Struct):
    metadata: Meta
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class ConfigMap(Struct):
    metadata: Meta
    data: dict[str, str] = {}


class NamespaceStatus(Struct):
    phase: str = ""


class Namespace(Struct):
    metadata: Meta
    status: NamespaceStatus = msgspec.field(default_factory=NamespaceStatus)


class NodeSpec(Struct):
    unschedulable: bool = False


class NodeInfo(Struct):
    kubelet_version: str = ""
    os_image: str = ""
    kernel_version: str = ""
    architecture: str = ""
    container_runtime_version: str = ""


class NodeStatus(Struct):
    capacity: dict[str, str | int] = {}
    allocatable: dict[str, str | int] = {}
    conditions: list[Condition] = []
    node_info: NodeInfo = msgspec.field(default_factory=NodeInfo)


class Node(Struct):
    metadata: Meta
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class Placed(Struct):
    """A pod, for what it takes from its node."""

    spec: PodSpec = msgspec.field(default_factory=PodSpec)


class Bare(Struct):
    """Any object, for its metadata."""

    metadata: Meta = msgspec.field(default_factory=Meta)


class TokenStatus(Struct):
    token: str
    expiration_timestamp: datetime.datetime


class TokenRequest(Struct):
    status: TokenStatus


class Version(Struct):
    git_version: str = ""


class PodList(Struct):
    metadata: ListMeta
    items: list[Pod] = []


class ConfigMapList(Struct):
    metadata: ListMeta
    items: list[ConfigMap] = []


class BareList(Struct):
    metadata: ListMeta
    items: list[Bare] = []


class NodeList(Struct):
    metadata: ListMeta
    items: list[Node] = []


class PlacedList(Struct):
    metadata: ListMeta
    items: list[Placed] = []


class Change(msgspec.Struct):
    """A line of a watch."""

    type: str
    object: msgspec.Raw


def seconds(at: datetime.datetime | None) -> float | None:
    """Kubernetes' times as seconds since the epoch."""
    return None if at is None else at.timestamp()


_SUFFIXES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


def quantity(text: str | int) -> float:
    """What a resource quantity (``250m``, ``1Gi``, ``1e3``) is as a number."""
    text = str(text)
    number = text.rstrip("numkKMGTPEi")
    try:
        return float(number) * _SUFFIXES[text[len(number) :]]
    except (KeyError, ValueError):
        return float(text)
