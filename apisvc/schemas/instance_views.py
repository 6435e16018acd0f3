"""Shapes of instances: what is answered."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from apisvc.model import codec, instances
from apisvc.schemas import base, machines
from apisvc.schemas import instances as requests

MASK = "***"


class SpecView(base.View, frozen=True, kw_only=True):
    """What was asked, as it was resolved at that moment."""

    backend: str
    image: str
    image_id: str
    flavor: str
    flavor_id: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    command: requests.Command
    args: requests.Args
    env: dict[str, str]
    secret_env: Annotated[
        dict[str, str], msgspec.Meta(description="The names only; every value is shown as ***.")
    ]
    ports: requests.Ports
    ssh_key: machines.SshKey
    user_data: Annotated[str, msgspec.Meta(description="*** when there is any, else empty.")]
    networks: machines.Networks
    security_groups: machines.SecurityGroups
    public_address: machines.PublicAddress
    volumes: machines.Volumes
    restart_policy: requests.RestartPolicy
    power: instances.Power


class FaultView(base.View, frozen=True, kw_only=True):
    """Why it is not as asked."""

    code: str
    message: str
    retryable: Annotated[bool, msgspec.Meta(description="Whether it is tried again without anybody's doing.")]
    at: base.Timestamp


class RetryView(base.View, frozen=True, kw_only=True):
    """When it is tried again."""

    attempts: int
    next_at: base.Timestamp


class StatusView(base.View, frozen=True, kw_only=True):
    """What was observed."""

    state: instances.State
    fault: FaultView | None
    retry: RetryView | None
    node: Annotated[
        str | None,
        msgspec.Meta(
            description="The machine of the backend that it is on; shown to admins, null to others."
        ),
    ]
    addresses: tuple[str, ...]
    exit_code: int | None
    restarts: int
    started_at: base.Timestamp | None
    finished_at: base.Timestamp | None
    observed_at: Annotated[
        base.Timestamp | None,
        msgspec.Meta(description="When this was seen first; with `stale`, when it was seen last."),
    ]
    stale: Annotated[
        bool,
        msgspec.Meta(description="The backend is out of sight; this is what was seen before it went."),
    ]
    observed_generation: Annotated[
        int, msgspec.Meta(description="The generation that the state speaks of; less than generation: wait.")
    ]
    reason: str
    message: str


class ActionView(base.View, frozen=True, kw_only=True):
    """Whether something can be done with it now."""

    possible: bool
    reason: Annotated[str | None, msgspec.Meta(description="Why not.")] = None


class InstanceView(base.View, frozen=True, kw_only=True):
    """An instance."""

    id: base.Id
    name: base.DnsLabel
    tenant_id: base.Id
    description: str
    labels: dict[str, str]
    spec: SpecView
    status: StatusView
    generation: Annotated[int, msgspec.Meta(description="Moves when spec changes or deletion is asked for.")]
    actions: Annotated[
        Mapping[str, ActionView], msgspec.Meta(description="What can be done with it now, and else why not.")
    ]
    created_at: base.Timestamp
    updated_at: base.Timestamp
    deleted_at: Annotated[base.Timestamp | None, msgspec.Meta(description="When its deletion was asked for.")]
    created_by: Annotated[str, msgspec.Meta(description="The id of the user who made it.")]
    revision: base.Revision


class InstanceList(base.View, frozen=True, kw_only=True):
    """A page of instances."""

    instances: list[InstanceView]
    next: str | None


def view(
    found: codec.Versioned[instances.Instance],
    actions: Mapping[str, ActionView],
    *,
    stale: bool,
    seen_at: float | None,
    node: bool,
) -> InstanceView:
    """An instance as everybody sees it who may; with ``node`` also which machine it is on.

    ``seen_at``: of a stale one, when its backend was last seen.
    """
    instance = found.value
    return InstanceView(
        id=instance.id,
        name=instance.name,
        tenant_id=instance.tenant_id,
        description=instance.description,
        labels=instance.labels,
        spec=spec_view(instance.spec),
        status=_status(instance.status, stale, seen_at, instance.status.node if node else None),
        generation=instance.generation,
        actions=actions,
        created_at=base.timestamp(instance.created_at),
        updated_at=base.timestamp(instance.updated_at),
        deleted_at=base.timestamp(instance.deleted_at),
        created_by=instance.created_by,
        revision=found.revision,
    )


def spec_view(spec: instances.Spec) -> SpecView:
    """What was asked, without secrets."""
    return SpecView(
        backend=spec.backend,
        image=spec.image,
        image_id=spec.image_id,
        flavor=spec.flavor,
        flavor_id=spec.flavor_id,
        vcpus=spec.vcpus,
        ram_mb=spec.ram_mb,
        disk_gb=spec.disk_gb,
        command=spec.command,
        args=spec.args,
        env=spec.env,
        secret_env=dict.fromkeys(spec.secret_env, MASK),
        ports=spec.ports,
        ssh_key=spec.ssh_key,
        user_data=MASK if spec.user_data else "",
        networks=spec.networks,
        security_groups=spec.security_groups,
        public_address=spec.public_address,
        volumes=spec.volumes,
        restart_policy=spec.restart_policy,
        power=spec.power,
    )


def _fault(fault: instances.Fault) -> FaultView:
    return FaultView(
        code=fault.code, message=fault.message, retryable=fault.retryable, at=base.timestamp(fault.at)
    )


def _retry(retry: instances.Retry) -> RetryView:
    return RetryView(attempts=retry.attempts, next_at=base.timestamp(retry.next_at))


def _status(status: instances.Status, stale: bool, seen_at: float | None, node: str | None) -> StatusView:
    observed_at = status.observed_at
    if stale and observed_at is not None and seen_at is not None:
        observed_at = max(observed_at, seen_at)
    return StatusView(
        state=status.state,
        fault=_fault(status.fault) if status.fault else None,
        retry=_retry(status.retry) if status.retry else None,
        node=node,
        addresses=status.addresses,
        exit_code=status.exit_code,
        restarts=status.restarts,
        started_at=base.timestamp(status.started_at),
        finished_at=base.timestamp(status.finished_at),
        observed_at=base.timestamp(observed_at),
        stale=stale,
        observed_generation=status.observed_generation,
        reason=status.reason,
        message=status.message,
    )
