"""What an API server says of a pod or an anchor, in the contract's words. Pure.

PERF: of the objects themselves nothing is kept; what is here is all that the
driver knows of each of thousands.
"""

import dataclasses

from apisvc.compute import base
from apisvc.compute.kubernetes import naming, objects

Phase = base.Phase

#: A pod that ended so did not end by itself: its node gave it up, and it would run elsewhere.
LOST = frozenset(
    {
        "Evicted",
        "NodeLost",
        "NodeShutdown",
        "Terminated",
        "Shutdown",
        "Preempting",
        "NodeAffinity",
        "UnexpectedAdmissionError",
    }
)
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclasses.dataclass(frozen=True, slots=True)
class Pod:
    """A pod that bears our tag."""

    namespace: str
    name: str
    uid: str
    version: int
    #: How it is, if nothing else is wished of it.
    observed: base.Observed
    terminating: bool
    #: Its container.
    container: str
    #: Of the manifest it was made of; "": somebody else made it.
    pod_hash: str
    #: Somebody has edited what we had set.
    edited: bool
    reboots: int
    volumes: bool
    #: Its node or the cluster took it away, and its restart policy wants it to run.
    lost: bool

    @property
    def instance_id(self) -> str:
        return self.observed.tag.instance_id

    @property
    def at_rest(self) -> bool:
        return self.observed.phase in (Phase.EXITED, Phase.FAILED)


def pod(found: objects.Pod, names: naming.Naming) -> Pod:
    meta, spec = found.metadata, found.spec
    annotations = meta.annotations
    container = spec.containers[0] if spec.containers else objects.Container(name="")
    terminating = meta.deletion_timestamp is not None
    observed = _observed(found, container.name, names)
    asked = annotations.get(naming.IMAGE)
    return Pod(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        version=version(meta.resource_version),
        observed=dataclasses.replace(observed, phase=Phase.DELETING) if terminating else observed,
        terminating=terminating,
        container=container.name,
        pod_hash=annotations.get(naming.POD_HASH, ""),
        edited=asked is not None and asked != container.image,
        reboots=_number(annotations.get(naming.REBOOTS)),
        volumes=naming.VOLUMES in annotations,
        lost=found.status.phase == "Failed"
        and _given_up(found.status)
        and spec.restart_policy != "Never"
        and not terminating,
    )


def version(text: str) -> int:
    """A resource version as a number: later is larger, in all of a cluster."""
    return int(text) if text.isdecimal() else 0


def _observed(found: objects.Pod, container: str, names: naming.Naming) -> base.Observed:
    meta, status = found.metadata, found.status
    state = next((one for one in status.container_statuses if one.name == container), None)
    phase, reason, message = _phase(found, state)
    ended = state.state.terminated if state else None
    running = state.state.running if state else None
    tag = names.tag(meta)
    if meta.annotations.get(naming.IMAGE, "") not in ("", _image(found)):
        # Not what was asked any more, so it is of no spec that anybody knows: it is ensured again.
        tag = dataclasses.replace(tag, spec_hash="")
    return base.Observed(
        tag=tag,
        phase=phase,
        handle=meta.uid or None,
        node=found.spec.node_name or None,
        addresses=tuple(one.ip for one in status.pod_ips),
        exit_code=ended.exit_code if ended and phase is Phase.EXITED else None,
        started_at=objects.seconds((running and running.started_at) or (ended and ended.started_at) or None),
        finished_at=objects.seconds(ended.finished_at) if ended and phase is Phase.EXITED else None,
        restarts=state.restart_count if state else 0,
        reboots=_number(meta.annotations.get(naming.REBOOTS)),
        reason=reason,
        message=message,
    )


def _image(found: objects.Pod) -> str:
    return found.spec.containers[0].image if found.spec.containers else ""


def _phase(found: objects.Pod, state: objects.ContainerStatus | None) -> tuple[Phase, str, str]:
    """The phase, a reason in one word, and a sentence."""
    status = found.status
    ended = state.state.terminated if state else None
    waiting = state.state.waiting if state else None
    if status.phase == "Unknown":
        return Phase.UNKNOWN, status.reason or "NodeLost", "Its node does not report any more."
    if status.phase == "Failed" and ended is None:
        return Phase.FAILED, status.reason or "Failed", status.message or "Its node has given it up."
    if status.phase == "Failed" and _given_up(status):
        return Phase.FAILED, status.reason, status.message
    if status.phase in ("Succeeded", "Failed"):
        reason = ended.reason if ended else "Completed"
        return Phase.EXITED, reason, (ended.message if ended else "")
    if state is None:
        return _unplaced(status)
    if state.state.running:
        return _running(status, state)
    if ended:
        # Between two runs.
        return Phase.STARTING, ended.reason, ended.message
    if waiting and _hopeless(waiting):
        return Phase.FAILED, waiting.reason, waiting.message
    if state.restart_count or state.last_state.terminated:
        return _between(state)
    reason = waiting.reason if waiting else ""
    return Phase.CREATING, "" if reason in _STARTING else reason, waiting.message if waiting else ""


def _given_up(status: objects.PodStatus) -> bool:
    return status.reason in LOST or status.reason.startswith("OutOf")


def _hopeless(waiting: objects.Waiting) -> bool:
    """A container that will not come out of it without another spec."""
    if waiting.reason == "CreateContainerConfigError":
        return "runAsNonRoot" in waiting.message  # the image's user is root, or has no number
    return waiting.reason in ("InvalidImageName", "ErrImageNeverPull")


def _unplaced(status: objects.PodStatus) -> tuple[Phase, str, str]:
    for condition in status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return Phase.CREATING, condition.reason, condition.message
    return Phase.CREATING, "", ""


def _running(status: objects.PodStatus, state: objects.ContainerStatus) -> tuple[Phase, str, str]:
    for condition in status.conditions:
        # A kubelet always says why a pod is not ready; who says nothing is the cluster, of a node it does not hear.
        if condition.type == "Ready" and condition.status == "False" and not condition.reason:
            return Phase.UNKNOWN, "NodeLost", "Its node does not report any more."
    last = state.last_state.terminated
    if state.restart_count and last:
        return Phase.RUNNING, last.reason, f"Started again after it ended with exit code {last.exit_code}."
    return Phase.RUNNING, "", ""


def _between(state: objects.ContainerStatus) -> tuple[Phase, str, str]:
    """It ended, and is started again after a pause."""
    waiting, last = state.state.waiting, state.last_state.terminated
    reason = (waiting.reason if waiting else "") or "CrashLoopBackOff"
    if last is None:
        return Phase.STARTING, reason, waiting.message if waiting else ""
    how = f"{last.reason}, exit code {last.exit_code}" if last.reason else f"exit code {last.exit_code}"
    return Phase.STARTING, reason, f"It ended ({how}) and is started again after a pause."


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
