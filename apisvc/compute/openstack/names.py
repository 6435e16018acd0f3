"""How our objects are found again on a cloud: names, tags and metadata.

A server bears the whole :class:`~apisvc.compute.base.Tag` as metadata, which is
what counts, and two tags by which the cloud finds it. A cloud older than tags
of servers (Nova before 15) finds it by its name.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from apisvc.compute import base

#: What Nova takes as a name of metadata.
_LABEL = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,47}")
#: Keystone's longest name of a project.
_LONGEST = 64
#: Nova's longest value of metadata.
_FIELD = 255

#: The metadata of a server, each beginning with ``apisvc_``.
OWNER, TENANT, INSTANCE, SPEC, CONTRACT = (
    "apisvc_owner",
    "apisvc_tenant",
    "apisvc_instance",
    "apisvc_spec",
    "apisvc_contract",
)
#: What it was made from; see :func:`parts`.
IMAGE, PARTS = "apisvc_image", "apisvc_parts"
#: ``stopped`` when it rests because we asked for it.
POWER = "apisvc_power"
#: What follows when it ends by itself.
RESTART = "apisvc_restart"
#: When it last began to run because we asked, and how often it was started after it ended by itself.
STARTED, RESTARTS = "apisvc_started", "apisvc_restarts"
#: The number of the latest reboot: written before it is asked for, with how many the cloud remembers by then;
#: and when it is known to have been accepted.
REBOOTS, REBOOTS_BEFORE, REBOOTS_DONE = "apisvc_reboots", "apisvc_reboots_before", "apisvc_reboots_done"
#: ``yes`` when it is to have a public address, which may be there before the server tells of it.
PUBLIC = "apisvc_public"
#: ``yes`` when Nova is to make volumes for it.
VOLUMES = "apisvc_volumes"
#: The flavor that a resize was asked for.
RESIZE = "apisvc_resize"
_PREFIX = "apisvc_"


def is_id(instance_id: str) -> bool:
    """Whether it can be the id of one of our instances."""
    return _ID.fullmatch(instance_id) is not None


def server(instance_id: str) -> str:
    """The name of the server of an instance, and of the key pair that it is made with."""
    return f"apisvc-{instance_id}"


def scope(owner: str, tenant_id: str) -> str:
    """The name of a tenant's project, network, router, security group and user."""
    name = f"{owner}-{tenant_id}"
    if len(name) > _LONGEST:
        name = f"{owner[:22]}-{hashlib.sha256(name.encode()).hexdigest()[:40]}"
    return name


def owner_tag(owner: str) -> str:
    """The tag of all servers and projects of a deployment."""
    return f"apisvc:{owner}"


def instance_tag(instance_id: str) -> str:
    """The tag of the server of an instance."""
    return f"apisvc-id:{instance_id}"


def tenant_tag(tenant_id: str) -> str:
    """The tag of a project whose servers may be the tenant's."""
    return f"apisvc-tenant:{tenant_id}"


def volume(server_id: str) -> str:
    """The name that Nova gives to each volume that it makes empty for a server."""
    return f"{server_id}-blank-vol"


def note(owner: str, instance_id: str) -> str:
    """The description of a floating address."""
    return f"apisvc {owner} instance {instance_id}"


def metadata(owner: str, workload: base.Workload) -> dict[str, str]:
    """What the server of ``workload`` bears from its birth, but for its spec hash."""
    labels = {
        name: value
        for name, value in workload.labels.items()
        if not name.startswith(_PREFIX) and _LABEL.fullmatch(name) and len(value) <= _FIELD
    }
    return {
        **labels,
        OWNER: owner,
        TENANT: workload.tenant.id,
        INSTANCE: workload.id,
        CONTRACT: base.CONTRACT,
        IMAGE: workload.image[:_FIELD],
        PARTS: parts(workload),
        RESTART: workload.restart_policy,
        POWER: "running",
        **({PUBLIC: "yes"} if workload.public_address else {}),
        **({VOLUMES: "yes"} if workload.volumes else {}),
        REBOOTS: str(workload.reboots),
        REBOOTS_DONE: str(workload.reboots),
    }


def parts(workload: base.Workload) -> str:
    """A digest of all that a server cannot be given later: with another one it is made anew."""
    fixed: list[Any] = [
        workload.ssh_key,
        workload.user_data,
        list(workload.networks),
        list(workload.security_groups),
        workload.public_address,
        list(workload.volumes),
    ]
    return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:32]


def tag(metadata: Mapping[str, str]) -> base.Tag | None:
    """Whose server it is, or None when it is nobody's."""
    if OWNER not in metadata or INSTANCE not in metadata:
        return None
    return base.Tag(
        owner=metadata[OWNER],
        tenant_id=metadata.get(TENANT, ""),
        instance_id=metadata[INSTANCE],
        spec_hash=metadata.get(SPEC, ""),
        contract=metadata.get(CONTRACT, base.CONTRACT),
    )


def number(metadata: Mapping[str, str], name: str) -> int:
    """A number of the metadata; 0 when it is not there, or is none (tenants can write metadata)."""
    text = metadata.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 12 else 0
