"""The options of a cluster, and what they say once it is understood."""

import base64
import binascii
import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

#: ``network_policy``: what a tenant's pods can reach and be reached from.
POLICIES = ("deny", "tenant", "none")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_TOLERATION = re.compile(
    r"(?P<key>[A-Za-z0-9./_-]+)?(?:=(?P<value>[A-Za-z0-9._-]*))?"
    r"(?::(?P<effect>NoSchedule|PreferNoSchedule|NoExecute))?"
)

OPTIONS: Sequence[cfg.Opt] = (
    cfg.StrOpt(
        "kubeconfig",
        secret=True,
        help="How to reach the cluster: the path of a kubeconfig file, or its content as JSON on one line "
        "(kubectl config view --raw --minify --flatten -o json), plain or in base64. A file is read again "
        "when the cluster refuses what it said.",
    ),
    cfg.StrOpt("context", help="Context of the kubeconfig. Unset: its current one."),
    cfg.BoolOpt(
        "in_cluster",
        default=False,
        help="apisvc itself runs in a pod of this cluster and uses that pod's service account.",
    ),
    cfg.StrOpt(
        "namespace_prefix",
        default="apisvc",
        regex=r"^[a-z0-9]([a-z0-9-]{0,24}[a-z0-9])?$",
        help="A tenant's namespace is named by this, a hyphen and the tenant's id. Two deployments that share "
        "a cluster need different ones. Do not change it while instances exist.",
    ),
    cfg.StrOpt(
        "image_pull_policy",
        choices=["Always", "IfNotPresent", "Never"],
        help="When nodes pull an instance's image. Unset: as Kubernetes does it, which depends on the tag.",
    ),
    cfg.StrOpt(
        "image_pull_secret",
        help="Path of a Docker configuration file (config.json) with the credentials for your image registries. "
        "Every tenant's namespace gets it as a Secret that pods pull with.",
    ),
    cfg.DictOpt(
        "node_selector",
        default={},
        help="Labels that a node must have to run instances, for example: disktype:ssd, pool:tenants.",
    ),
    cfg.ListOpt(
        "tolerations",
        default=[],
        help="Taints of nodes that instances tolerate, each as key=value:Effect; without =value any value, "
        "without :Effect any effect.",
    ),
    cfg.StrOpt(
        "runtime_class", help="RuntimeClass of the pods, for example gvisor. Unset: the cluster's default."
    ),
    cfg.StrOpt(
        "storage_class", help="StorageClass of instances' volumes. Unset: the cluster's default class."
    ),
    cfg.StrOpt(
        "network_policy",
        default="deny",
        choices=[
            ("deny", "a pod reaches DNS and is reached by nothing"),
            ("tenant", "as deny, and a tenant's own pods reach each other"),
            ("none", "apisvc makes no NetworkPolicy"),
        ],
        help="The default NetworkPolicy of a tenant's namespace. You can add others of your own beside it.",
    ),
    cfg.IntOpt(
        "run_as_user",
        min=1,
        help="User id that instances run as. Unset: the one of the image, which must be a number other than 0, "
        "because instances never run as root.",
    ),
    cfg.IntOpt(
        "stop_grace",
        default=10,
        min=0,
        max=3600,
        help="Seconds between SIGTERM and SIGKILL when an instance is stopped.",
    ),
    cfg.FloatOpt(
        "qps",
        default=50.0,
        min=0.1,
        help="Requests a second that one process makes of this cluster, in the long run.",
    ),
    cfg.IntOpt("burst", default=100, min=1, help="Requests that may be made at once beyond that rate."),
    cfg.FloatOpt(
        "connect_timeout",
        default=5.0,
        min=0.1,
        help="Seconds within which a connection to the API server must be there.",
    ),
    cfg.FloatOpt(
        "request_timeout",
        default=15.0,
        min=0.1,
        help="Seconds that the API server may take for one request; less when the caller has less time.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options, checked and in Kubernetes' own forms."""

    #: A path, or the content of a kubeconfig; None: the service account of our own pod.
    kubeconfig: str | Mapping[str, Any] | None
    context: str | None
    namespace_prefix: str
    image_pull_policy: str | None
    image_pull_secret: str | None
    node_selector: Mapping[str, str]
    tolerations: Sequence[Mapping[str, str]]
    runtime_class: str | None
    storage_class: str | None
    network_policy: str
    run_as_user: int | None
    stop_grace: int
    qps: float
    burst: int
    connect_timeout: float
    request_timeout: float


def read(conf: cfg.ConfigOpts.GroupAttr) -> Settings:
    """The settings of a backend's group.

    :raises ValueError: naming the option whose value cannot be right.
    """
    if bool(conf.kubeconfig) == bool(conf.in_cluster):
        raise ValueError("exactly one of kubeconfig and in_cluster must be set")
    if conf.in_cluster and conf.context:
        raise ValueError("context: belongs to a kubeconfig; with in_cluster there is none")
    plain = {option.dest: getattr(conf, option.dest) for option in OPTIONS if option.dest != "in_cluster"}
    plain["kubeconfig"] = None if conf.in_cluster else _kubeconfig(conf.kubeconfig)
    plain["tolerations"] = tuple(_toleration(text) for text in conf.tolerations)
    for name in ("runtime_class", "storage_class"):
        if plain[name] and not all(_LABEL.fullmatch(part) for part in plain[name].split(".")):
            raise ValueError(f"{name}: {plain[name]!r} cannot be the name of a class")
    if conf.image_pull_secret and not os.path.isabs(conf.image_pull_secret):
        raise ValueError(f"image_pull_secret: {conf.image_pull_secret!r} is no absolute path")
    return Settings(**plain)


def _kubeconfig(text: str) -> str | Mapping[str, Any]:
    text = text.strip()
    if text.startswith(("/", "~")):
        return os.path.expanduser(text)
    if not text.startswith("{"):
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError(
                "kubeconfig: is neither an absolute path nor a kubeconfig in JSON, plain or base64"
            ) from None
    try:
        read = json.loads(text)
    except ValueError as error:
        # Where it is wrong, and nothing of what it says: it holds credentials.
        raise ValueError(f"kubeconfig: the content is no JSON: {getattr(error, 'msg', '')}") from None
    if not isinstance(read, dict) or not {"clusters", "contexts"} <= read.keys():
        raise ValueError("kubeconfig: the content has no 'clusters' and 'contexts'")
    return read


def _toleration(text: str) -> Mapping[str, str]:
    match = _TOLERATION.fullmatch(text.strip())
    if not text.strip() or match is None or (match["value"] is not None and not match["key"]):
        raise ValueError(
            f"tolerations: {text!r} is not key=value:Effect with the effect NoSchedule, PreferNoSchedule or NoExecute"
        )
    toleration = {"operator": "Exists" if match["value"] is None else "Equal"}
    toleration.update({name: given for name, given in match.groupdict().items() if given})
    return toleration
