"""An API server that answers as a test tells it, and drivers for it."""

import json

from apisvc.compute.kubernetes import client, driver, naming, options
from apisvc.testing import backends, case
from tests.unit.client import scripted

NAMES = naming.Naming("me", "apisvc")


def kubeconfig(url, **user):
    """A kubeconfig as JSON text."""
    return json.dumps(
        {
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": user or {"token": "secret-1"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    )


def settings(url="http://127.0.0.1:1", **given):
    given.setdefault("kubeconfig", kubeconfig(url))
    return options.read(case.group(driver.KubernetesDriver, "east", **given))


def api(url, **given):
    return client.Client("east", settings(url, **given))


def make_driver(url, owner="me", **given):
    given.setdefault("kubeconfig", kubeconfig(url))
    context = backends.context(driver.KubernetesDriver, owner=owner, state_dir="/nowhere", **given)
    return driver.KubernetesDriver(context)


def status(code, message, reason="", headers=None, **details):
    """Kubernetes' own answer when something is wrong."""
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}
    return scripted.Reply(code, {**body, **({"details": details} if details else {})}, headers or {})


def ok(body):
    return scripted.Reply(200, body)


def listing(items=(), version="10", more=""):
    return ok({"metadata": {"resourceVersion": version, "continue": more}, "items": list(items)})


def pod(instance_id="a", *, version="5", state=None, phase="Running", uid=None, name=None, **more):
    """A pod of ours as the API server tells it; ``state``: of its container."""
    annotations = {"apisvc/spec-hash": "spec-1", "apisvc/contract": "1.0", **more.pop("annotations", {})}
    statuses = [{"name": "main", "restartCount": more.pop("restarts", 0), "state": state}] if state else []
    if statuses and "last" in more:
        statuses[0]["lastState"] = {"terminated": more.pop("last")}
    meta = {
        "name": name or f"i-{instance_id}",
        "namespace": "apisvc-t",
        "uid": uid or f"uid-{instance_id}",
        "resourceVersion": version,
        "labels": {"apisvc/owner": "me", "apisvc/tenant": "t", "apisvc/instance": instance_id},
        "annotations": annotations,
    }
    if more.pop("going", False):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container = {"name": "main", "image": more.pop("image", "busybox:1")}
    spec = {"containers": [container], "restartPolicy": more.pop("policy", "Always"), "nodeName": "node-1"}
    return {
        "kind": "Pod",
        "metadata": meta,
        "spec": spec,
        "status": {"phase": phase, "podIPs": [{"ip": "10.1.2.3"}], "containerStatuses": statuses, **more},
    }


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def ended(code, reason="", message=""):
    return {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:01:00Z",
    }
