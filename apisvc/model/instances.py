"""Instances: ``spec`` is what was asked, ``status`` what was observed."""

import enum
import hashlib

import msgspec

from apisvc.model import tenants


class Power(enum.StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"


class RestartPolicy(enum.StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class State(enum.StrEnum):
    """See :mod:`apisvc.model.states` for which follows which."""

    PENDING = "pending"
    BUILDING = "building"
    ACTIVE = "active"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    REBOOTING = "rebooting"
    DELETING = "deleting"
    ERROR = "error"


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked, with names resolved and sizes copied at that moment.

    Defaults are not written, so that a field added later changes no hash.
    """

    backend: str
    image_id: str
    image: str
    #: The image's reference for the backend's driver.
    image_ref: str
    flavor_id: str
    flavor: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    #: name -> value encrypted with the deployment's keys.
    secret_env: dict[str, str] = {}
    ports: tuple[int, ...] = ()
    #: As the fields of the same names of :class:`apisvc.compute.values.Workload`.
    ssh_key: str = ""
    #: Encrypted, as the values of ``secret_env``: what a machine is told at its start often has secrets in it.
    user_data: str = ""
    networks: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    public_address: bool = False
    volumes: tuple[int, ...] = ()
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    power: Power = Power.RUNNING
    #: How often a reboot was asked for.
    reboots: int = 0
    #: The handle of an object of others that is to be taken under management; "": one is made.
    adopt: str = ""

    @property
    def amounts(self) -> tenants.Amounts:
        """What it takes from the tenant's quota; its volumes count as disk."""
        disk_gb = self.disk_gb + sum(self.volumes)
        return tenants.Amounts(instances=1, vcpus=self.vcpus, ram_mb=self.ram_mb, disk_gb=disk_gb)

    @property
    def hash(self) -> str:
        """Names what must be the same in the backend; power and reboots are not part of it.

        Secret values count by their ciphertext, which key rotation therefore
        leaves as it is until the value itself is set anew.
        """
        material = msgspec.structs.replace(self, power=Power.RUNNING, reboots=0, image="", flavor="")
        return hashlib.sha256(msgspec.json.encode(material, order="deterministic")).hexdigest()[:16]


#: Seconds by which the clocks of two hosts may differ without a retry coming early.
_SKEW = 5.0


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why an instance is not as asked. ``code`` is a driver error's code or one of the worker's own."""

    code: str
    message: str
    retryable: bool
    at: float


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """When a retryable fault is tried again."""

    attempts: int = 0
    next_at: float = 0.0
    #: Seconds between the fault and ``next_at``.
    pause: float = 0.0
    #: The generation that failed; a newer one is tried at once.
    generation: int = 0

    def left(self, now: float) -> float:
        """Seconds from ``now`` until then, 0.0 when it is due.

        More than the pause is left only where the clock was set back; nobody waits for it to catch up.
        """
        left = self.next_at - now
        return left if 0.0 < left <= self.pause + _SKEW else 0.0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed, and how far the worker got."""

    state: State = State.PENDING
    fault: Fault | None = None
    retry: Retry | None = None
    #: The generation that ``state`` speaks of.
    observed_generation: int = 0
    #: Spec hash the backend was last seen with.
    spec_hash: str | None = None
    handle: str | None = None
    node: str | None = None
    addresses: tuple[str, ...] = ()
    exit_code: int | None = None
    restarts: int = 0
    #: Reboots done so far.
    reboots: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    observed_at: float | None = None
    reason: str = ""
    message: str = ""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tenant_id: str
    name: str
    description: str = ""
    labels: dict[str, str] = {}
    spec: Spec
    #: Moves by one whenever spec or deletion changes.
    generation: int = 1
    #: When DELETE was asked for; from then on nothing but its end is possible.
    deleted_at: float | None = None
    status: Status = Status()
    created_at: float
    updated_at: float
    created_by: str

    @property
    def adopting(self) -> bool:
        """Whether it is still to take its object under management: nothing that bears its tag was seen yet."""
        return bool(self.spec.adopt) and self.status.spec_hash is None


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """Says that this instance id was here and its end was authoritative: what still bears it is garbage."""

    instance_id: str
    tenant_id: str
    backend: str
    at: float
