"""The objects that an instance becomes: its pod, the Secret of its secret variables, its volumes. Pure.

A pod passes the pod-security level ``restricted`` and mounts no token. It is a
bare pod and no Deployment: apisvc's own worker makes it anew when it is lost,
so that there is one controller and not two, and never a twin.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from apisvc.compute import base
from apisvc.compute.kubernetes import naming, options

Manifest = dict[str, Any]

#: The container of our pods.
CONTAINER = "main"
#: The Secret of image registries in every tenant's namespace.
PULL_SECRET = "apisvc-pull"
#: Where an instance finds its volumes.
MOUNTS = "/mnt/volume-{number}"
#: Group of the files on volumes, so that the instance's user can write them.
_GROUP = 65532

_POLICIES = {"always": "Always", "on-failure": "OnFailure", "never": "Never"}
_HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# docker.io/library/busybox:1.36@sha256:...: what container runtimes take for an image.
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,})?"
)


def pod(workload: base.Workload, settings: options.Settings, names: naming.Naming) -> Manifest:
    """The pod for ``workload``.

    :raises InvalidSpec: what the API server would take and no node could run.
    """
    _check(workload)
    name, tag = names.pod(workload.id), names.tag_of(workload)
    spec = _spec(workload, settings, names)
    labels = {**names.labels(tag)}
    annotations = {
        **names.annotations(tag),
        naming.POD_HASH: pod_hash(spec),
        naming.IMAGE: workload.image,
        naming.REBOOTS: str(workload.reboots),
        "apisvc/name": workload.name,
        "apisvc/flavor": workload.flavor,
        **{f"label.apisvc/{key}": value for key, value in workload.labels.items() if _is_key(key)},
    }
    if workload.volumes:
        annotations[naming.VOLUMES] = str(len(workload.volumes))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": names.namespace(workload.tenant.id),
            "labels": labels,
            "annotations": annotations,
        },
        "spec": spec,
    }


def pod_hash(spec: Manifest) -> str:
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:16]


def secret(workload: base.Workload, names: naming.Naming) -> Manifest:
    """The Secret with the secret environment; of one spec hash, so that it is never changed under a pod."""
    tag = names.tag_of(workload)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": _secret_name(workload, names),
            "namespace": names.namespace(workload.tenant.id),
            "labels": {**names.labels(tag), naming.PART: "secret"},
            "annotations": names.annotations(tag),
        },
        "type": "Opaque",
        "stringData": dict(workload.secret_env),
    }


def volumes(workload: base.Workload, settings: options.Settings, names: naming.Naming) -> list[Manifest]:
    """The claims of its volumes: they stay while the pod comes and goes, and end with the instance."""
    tag = names.tag_of(workload)
    claims = []
    for number, size in enumerate(workload.volumes):
        spec: Manifest = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{size}Gi"}},
        }
        if settings.storage_class:
            spec["storageClassName"] = settings.storage_class
        claims.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": f"{names.pod(workload.id)}-{number}",
                    "namespace": names.namespace(workload.tenant.id),
                    "labels": {**names.labels(tag), naming.PART: "volume"},
                    "annotations": names.annotations(tag),
                },
                "spec": spec,
            }
        )
    return claims


def resources(workload: base.Workload) -> Manifest:
    """What the flavor gives: asked for, and the limit. A size of 0 asks for nothing, and is no limit."""
    sizes = {
        "cpu": (workload.vcpus, ""),
        "memory": (workload.ram_mb, "Mi"),
        "ephemeral-storage": (workload.disk_gb, "Gi"),
    }
    return {
        "requests": {name: f"{size}{unit}" for name, (size, unit) in sizes.items()},
        "limits": {name: f"{size}{unit}" for name, (size, unit) in sizes.items() if size},
    }


def _check(workload: base.Workload) -> None:
    if not _IMAGE.fullmatch(workload.image):
        raise base.InvalidSpec(f"{workload.image!r} is no reference of a container image.")
    texts = [*workload.command, *workload.args]
    for environment in (workload.env, workload.secret_env):
        texts += [*environment, *environment.values()]
    if any("\0" in text for text in texts):
        raise base.InvalidSpec("A command, argument or variable has a NUL byte.")


def _spec(workload: base.Workload, settings: options.Settings, names: naming.Naming) -> Manifest:
    identity: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if settings.run_as_user is not None:
        identity["runAsUser"] = settings.run_as_user
    if workload.volumes:
        identity["fsGroup"] = _GROUP
    spec: Manifest = {
        "restartPolicy": _POLICIES[workload.restart_policy],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": settings.stop_grace,
        "securityContext": identity,
        "containers": [_container(workload, settings, names)],
    }
    if _HOSTNAME.fullmatch(workload.name):
        spec["hostname"] = workload.name
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dict(toleration) for toleration in settings.tolerations]
    if settings.runtime_class:
        spec["runtimeClassName"] = settings.runtime_class
    if settings.image_pull_secret:
        spec["imagePullSecrets"] = [{"name": PULL_SECRET}]
    if workload.volumes:
        spec["volumes"] = [
            {
                "name": f"volume-{number}",
                "persistentVolumeClaim": {"claimName": f"{names.pod(workload.id)}-{number}"},
            }
            for number in range(len(workload.volumes))
        ]
    return spec


def _container(workload: base.Workload, settings: options.Settings, names: naming.Naming) -> Manifest:
    container: Manifest = {
        "name": CONTAINER,
        "image": workload.image,
        "resources": resources(workload),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if workload.command:
        container["command"] = list(workload.command)
    if workload.args:
        container["args"] = list(workload.args)
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    if workload.ports:
        container["ports"] = [
            {"containerPort": port, "protocol": "TCP"} for port in sorted({*workload.ports})
        ]
    if environment := _environment(workload, names):
        container["env"] = environment
    if workload.volumes:
        container["volumeMounts"] = [
            {"name": f"volume-{number}", "mountPath": MOUNTS.format(number=number)}
            for number in range(len(workload.volumes))
        ]
    return container


def _environment(workload: base.Workload, names: naming.Naming) -> list[Manifest]:
    plain: Mapping[str, str] = {
        **workload.env,
        "APISVC_INSTANCE_ID": workload.id,
        "APISVC_INSTANCE_NAME": workload.name,
    }
    # $(NAME) is a reference to Kubernetes, and a dollar sign to everybody else.
    environment: list[Manifest] = [
        {"name": name, "value": value.replace("$(", "$$(")}
        for name, value in plain.items()
        if name not in workload.secret_env
    ]
    secret_name = _secret_name(workload, names)
    environment += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": name}}}
        for name in workload.secret_env
    ]
    return environment


def _secret_name(workload: base.Workload, names: naming.Naming) -> str:
    digest = hashlib.sha256(workload.spec_hash.encode()).hexdigest()[:8]
    return f"{names.pod(workload.id)}-{digest}"


def _is_key(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", key) is not None
