"""Names, labels and annotations: how what we made is found again, and by what it is told from anything else."""

import re
from collections.abc import Iterable, Mapping

from apisvc.compute import base
from apisvc.compute.kubernetes import objects

OWNER = "apisvc/owner"
TENANT = "apisvc/tenant"
INSTANCE = "apisvc/instance"
#: What an object is to us, of those that are not instances' pods.
PART = "apisvc/part"

#: Annotations.
SPEC_HASH = "apisvc/spec-hash"
CONTRACT = "apisvc/contract"
#: Of the pod's manifest; another one means that the pod must be made anew.
POD_HASH = "apisvc/pod-hash"
#: The image as we asked for it; another one in the spec means that somebody has edited it.
IMAGE = "apisvc/image"
REBOOTS = "apisvc/reboots"
VOLUMES = "apisvc/volumes"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,52}[a-z0-9])?")

Labels = Mapping[str, str]


class Naming:
    """The names of one backend of one deployment."""

    def __init__(self, owner: str, prefix: str) -> None:
        self.owner = owner
        self._prefix = prefix

    # Names are derived from ids alone

    def known(self, instance_id: str) -> bool:
        """Can anything of ours be of this instance? Not if the id cannot be part of a name."""
        return _LABEL.fullmatch(instance_id) is not None

    def pod(self, instance_id: str) -> str:
        """:raises InvalidSpec: the id cannot be part of a name."""
        if not self.known(instance_id):
            raise base.InvalidSpec(f"The instance id {instance_id!r} cannot be part of a name on Kubernetes.")
        return f"i-{instance_id}"

    def namespace(self, tenant_id: str) -> str:
        """:raises InvalidSpec: as pod."""
        name = f"{self._prefix}-{tenant_id}"
        if not _LABEL.fullmatch(tenant_id) or len(name) > 63:
            raise base.InvalidSpec(f"The tenant id {tenant_id!r} cannot be part of a name on Kubernetes.")
        return name

    def pods(self, namespace: str) -> str:
        return f"/api/v1/namespaces/{namespace}/pods"

    def core(self, namespace: str, collection: str, name: str = "") -> str:
        """The path of a core object, or of its collection, in a namespace."""
        path = f"/api/v1/namespaces/{namespace}/{collection}"
        return f"{path}/{name}" if name else path

    # Selectors

    def ours(self) -> str:
        """Selects every pod and anchor of this deployment."""
        return f"{OWNER}={self.owner},{INSTANCE}"

    def of_instances(self, ids: Iterable[str]) -> str:
        return f"{OWNER}={self.owner},{INSTANCE} in ({','.join(ids)})"

    # Tags

    def labels(self, tag: base.Tag) -> dict[str, str]:
        return {OWNER: tag.owner, TENANT: tag.tenant_id, INSTANCE: tag.instance_id}

    def annotations(self, tag: base.Tag) -> dict[str, str]:
        return {SPEC_HASH: tag.spec_hash, CONTRACT: tag.contract}

    def tag(self, meta: objects.Meta) -> base.Tag:
        """The tag that an object bears."""
        return base.Tag(
            owner=meta.labels.get(OWNER, ""),
            tenant_id=meta.labels.get(TENANT, ""),
            instance_id=meta.labels.get(INSTANCE, ""),
            spec_hash=meta.annotations.get(SPEC_HASH, ""),
            contract=meta.annotations.get(CONTRACT, ""),
        )

    def tag_of(self, workload: base.Workload) -> base.Tag:
        return base.Tag(self.owner, workload.tenant.id, workload.id, workload.spec_hash)
