"""Shapes of instances: what may be asked. What is answered is in :mod:`apisvc.schemas.instance_views`."""

import datetime
import enum
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from apisvc.model import instances
from apisvc.schemas import base, machines

#: Bytes of UTF-8 that command and arguments may have together, and the two environments.
MAX_TEXT = 64 * 1024
#: Variables that the two environments may have together.
MAX_VARIABLES = 128

NO_NUL = r"^[^\x00]*$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)"
base.EXPLAINED[NO_NUL] = "a text without NUL"
base.EXPLAINED[_VARIABLE] = "letters, digits and '_', not beginning with a digit"

Word = Annotated[str, msgspec.Meta(max_length=8192, pattern=NO_NUL)]
_Variable = Annotated[
    str, msgspec.Meta(min_length=1, max_length=255, pattern=_VARIABLE, examples=["GREETING"])
]
_Value = Annotated[str, msgspec.Meta(max_length=32768, pattern=NO_NUL)]

Command = Annotated[
    tuple[Word, ...],
    msgspec.Meta(
        description="What to run instead of the image's own program: the program and its first arguments.",
        max_length=256,
        examples=[["/bin/sh", "-c"]],
    ),
]
Args = Annotated[
    tuple[Word, ...],
    msgspec.Meta(
        description="Arguments for the program.", max_length=256, examples=[["echo hello; sleep 60"]]
    ),
]
Env = Annotated[
    dict[_Variable, _Value],
    msgspec.Meta(
        description="Environment variables.", max_length=MAX_VARIABLES, examples=[{"GREETING": "hello"}]
    ),
]
SecretEnv = Annotated[
    dict[_Variable, _Value],
    msgspec.Meta(
        description="Environment variables whose values are kept encrypted and never shown again.",
        max_length=MAX_VARIABLES,
        examples=[{"PASSWORD": "correct horse"}],
    ),
]
SecretEnvUpdate = Annotated[
    dict[_Variable, _Value | None],
    msgspec.Meta(
        description="The secret variables to set, or with null to remove; those not named stay.",
        max_length=MAX_VARIABLES,
        examples=[{"PASSWORD": "battery staple", "OLD_PASSWORD": None}],
    ),
]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Ports = Annotated[
    tuple[Port, ...],
    msgspec.Meta(description="TCP ports it listens on.", max_length=64, examples=[[8080]]),
]
RestartPolicy = Annotated[
    instances.RestartPolicy, msgspec.Meta(description="What follows when it ends by itself.")
]

_Capability = Annotated[str, msgspec.Meta(min_length=1, max_length=63, examples=["logs"])]

_OwnName = Annotated[base.DnsLabel, msgspec.Meta(description="Unique in the tenant; null: one is made.")]
_Backend = Annotated[
    str, msgspec.Meta(description="Where to run it; null: the service chooses.", min_length=1, max_length=63)
]
_Driver = Annotated[
    str,
    msgspec.Meta(
        description="Only on a backend of this kind: `kubernetes`, `openstack`, ...",
        min_length=1,
        max_length=63,
        examples=["kubernetes"],
    ),
]
_Requires = Annotated[
    tuple[_Capability, ...],
    msgspec.Meta(
        description="Only on a backend with all of these capabilities.", max_length=32, examples=[["logs"]]
    ),
]
_HasName = Annotated[str, msgspec.Meta(description="Has this name.", max_length=63)]
_OnBackend = Annotated[str, msgspec.Meta(description="Is on this backend.", max_length=63)]
_HasFlavor = Annotated[str, msgspec.Meta(description="Has this flavor, by id or name.", max_length=63)]
_HasImage = Annotated[str, msgspec.Meta(description="Has this image, by id or name.", max_length=63)]
_IsStale = Annotated[bool, msgspec.Meta(description="Its backend is out of sight, or is not.")]
_OfTenant = Annotated[str, msgspec.Meta(description="Of this tenant, by id or name.", max_length=63)]
_Tail = Annotated[int, msgspec.Meta(description="Only the last lines.", ge=0, le=1_000_000)]
_Since = Annotated[
    datetime.datetime,
    msgspec.Meta(
        description="Only what was printed from this moment on (RFC 3339).",
        tz=True,
        examples=["2026-11-22T08:15:30Z"],
    ),
]


class InstanceCreate(base.Body, frozen=True, kw_only=True):
    """A new instance. What is frozen at this moment: the image's reference and the flavor's amounts."""

    name: _OwnName | None = None
    description: base.Description = ""
    labels: base.Labels = {}
    image: base.Ref
    flavor: base.Ref
    backend: _Backend | None = None
    driver: _Driver | None = None
    requires: _Requires = ()
    command: Command = ()
    args: Args = ()
    env: Env = {}
    secret_env: SecretEnv = {}
    ports: Ports = ()
    ssh_key: machines.SshKey = ""
    user_data: machines.UserData = ""
    networks: machines.Networks = ()
    security_groups: machines.SecurityGroups = ()
    public_address: machines.PublicAddress = False
    volumes: machines.Volumes = ()
    restart_policy: RestartPolicy = instances.RestartPolicy.ALWAYS
    power: Annotated[instances.Power, msgspec.Meta(description="Whether it is to run at once.")] = (
        instances.Power.RUNNING
    )

    def __post_init__(self) -> None:
        check_size("command and args", [*self.command, *self.args])
        check_environment(self.env, self.secret_env)
        _check_machine(self.ssh_key, self.user_data)


class CreateQuery(base.Query, frozen=True, kw_only=True):
    """Whether it is meant."""

    dry_run: Annotated[
        bool, msgspec.Meta(description="Only tell what would come of it, and change nothing.")
    ] = False

    @property
    def changes_nothing(self) -> bool:
        return self.dry_run


class InstanceUpdate(base.Body, frozen=True, kw_only=True):
    """What to change. Lists and objects are replaced as a whole, but ``secret_env`` by its entries.

    Volumes stay as they were made: what is on them would be lost.
    """

    name: base.DnsLabel | msgspec.UnsetType = msgspec.UNSET
    description: base.Description | msgspec.UnsetType = msgspec.UNSET
    labels: base.Labels | msgspec.UnsetType = msgspec.UNSET
    image: base.Ref | msgspec.UnsetType = msgspec.UNSET
    flavor: base.Ref | msgspec.UnsetType = msgspec.UNSET
    command: Command | msgspec.UnsetType = msgspec.UNSET
    args: Args | msgspec.UnsetType = msgspec.UNSET
    env: Env | msgspec.UnsetType = msgspec.UNSET
    secret_env: SecretEnvUpdate | msgspec.UnsetType = msgspec.UNSET
    ports: Ports | msgspec.UnsetType = msgspec.UNSET
    ssh_key: machines.SshKey | msgspec.UnsetType = msgspec.UNSET
    user_data: machines.UserData | msgspec.UnsetType = msgspec.UNSET
    networks: machines.Networks | msgspec.UnsetType = msgspec.UNSET
    security_groups: machines.SecurityGroups | msgspec.UnsetType = msgspec.UNSET
    public_address: machines.PublicAddress | msgspec.UnsetType = msgspec.UNSET
    restart_policy: RestartPolicy | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        _check_machine(self.ssh_key or "", self.user_data or "")


class Action(enum.StrEnum):
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"


class InstanceAction(base.Body, frozen=True, kw_only=True):
    """What to do with an instance."""

    action: Annotated[Action, msgspec.Meta(description="What to do.", examples=["stop"])]


class InstanceQuery(base.ListQuery, frozen=True, kw_only=True):
    """Which instances; what is given must all hold."""

    state: Annotated[
        tuple[instances.State, ...], msgspec.Meta(description="In one of these states. May be repeated.")
    ] = ()
    name: _HasName | None = None
    backend: _OnBackend | None = None
    flavor: _HasFlavor | None = None
    image: _HasImage | None = None
    stale: _IsStale | None = None
    label: tuple[base.LabelFilter, ...] = ()

    def matches(self, instance: instances.Instance) -> bool:
        """Whether everything that is given holds for ``instance``, but ``stale``, which it does not know itself."""
        spec = instance.spec
        return (
            (not self.state or instance.status.state in self.state)
            and self.name in (None, instance.name)
            and self.backend in (None, spec.backend)
            and self.flavor in (None, spec.flavor, spec.flavor_id)
            and self.image in (None, spec.image, spec.image_id)
            and base.labels_match(self.label, instance.labels)
        )


class AllInstancesQuery(InstanceQuery, frozen=True, kw_only=True):
    """Which instances of all tenants."""

    tenant: _OfTenant | None = None


class LogQuery(base.Query, frozen=True, kw_only=True):
    """Which part of the output."""

    tail: _Tail | None = None
    since: _Since | None = None
    previous: Annotated[bool, msgspec.Meta(description="What the run before the present one printed.")] = (
        False
    )
    follow: Annotated[bool, msgspec.Meta(description="Go on with what is written later.")] = False


def _check_machine(ssh_key: str, user_data: str) -> None:
    """ValueError when one of them cannot be what it says."""
    if ssh_key:
        machines.check_ssh_key(ssh_key)
    machines.check_user_data(user_data)


def check_size(what: str, texts: Sequence[str]) -> None:
    """ValueError when ``texts`` are too much for a program to be given."""
    size = sum(len(text.encode()) for text in texts)
    if size > MAX_TEXT:
        raise ValueError(f"{what} have {size} bytes; at most {MAX_TEXT}")


def check_environment(env: Mapping[str, str], secret_env: Mapping[str, str]) -> None:
    """ValueError when the two are too large, or have a variable in common."""
    check_size("env and secret_env", [*env, *env.values(), *secret_env, *secret_env.values()])
    if len(env) + len(secret_env) > MAX_VARIABLES:
        raise ValueError(
            f"env and secret_env have {len(env) + len(secret_env)} variables; at most {MAX_VARIABLES}"
        )
    twice = sorted(set(env) & set(secret_env))
    if twice:
        raise ValueError(f"{', '.join(twice)}: in env and in secret_env; it can be in one of them")
