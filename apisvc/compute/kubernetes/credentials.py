"""A kubeconfig for a member: a service account of its own with a token that ends, and rights in the tenant's namespace.

What a role may do is what the API of apisvc lets it do, and no more: nobody can
make pods around apisvc, read Secrets, or give rights to others. The kubeconfig
is told once and kept nowhere. Revoked, its rights end at once and its token
within ten seconds, which is how long an API server remembers one.
"""

import base64
import datetime
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from apisvc.compute import base
from apisvc.compute.kubernetes import client, naming, objects, session

#: Kubernetes grants no token for less, in seconds.
SHORTEST = 600

_LOOK = ["get", "list", "watch"]
_READ = [
    {
        "apiGroups": [""],
        "resources": ["pods", "pods/log", "pods/status", "events", "resourcequotas", "limitranges"],
        "verbs": _LOOK,
    },
]
_USE = [
    *_READ,
    # WebSockets are opened with GET, which is "get" to some servers and "create" to others.
    {
        "apiGroups": [""],
        "resources": ["pods/exec", "pods/attach", "pods/portforward"],
        "verbs": ["get", "create"],
    },
]
#: Role in the tenant -> rules of a Role. A role that is not there gets the rights of none.
RIGHTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "reader": _READ,
    "member": _USE,
    "manager": _USE,
}
_EXPIRES = "apisvc/expires"
_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,52}[a-z0-9])?")


class Accounts:
    def __init__(self, api: client.Client, names: naming.Naming) -> None:
        self._api = api
        self._names = names

    def issue(self, request: base.CredentialRequest, deadline: float) -> base.Credential:
        """The tenant's namespace is there. ``expires_at`` is the server's word: at least ten minutes away."""
        if request.role not in RIGHTS:
            raise base.InvalidSpec(f"The role {request.role!r} has no rights on Kubernetes.")
        namespace, name = self._names.namespace(request.tenant.id), _name(request.id)
        self._sweep(namespace, deadline)
        seconds = max(SHORTEST, request.seconds)
        expires = time.time() + seconds
        account, role, binding = _grant(request, name, namespace, expires, self._names)
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        core = self._names.core(namespace, "serviceaccounts", name)
        self._api.apply(core, account, objects.Bare, deadline=deadline)
        self._api.apply(f"{rbac}/roles/{role['metadata']['name']}", role, objects.Bare, deadline=deadline)
        self._api.apply(f"{rbac}/rolebindings/{name}", binding, objects.Bare, deadline=deadline)
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        made = self._api.post(f"{core}/token", asked, objects.TokenRequest, deadline=deadline).status
        until = made.expiration_timestamp.timestamp()
        if abs(until - expires) > 60:
            # The server has a limit of its own.
            account["metadata"]["annotations"][_EXPIRES] = _stamp(until)
            self._api.apply(core, account, objects.Bare, deadline=deadline)
        content = kubeconfig(self._api.sessions.get(), namespace, name, made.token)
        return base.Credential(request.id, "kubeconfig", until, content)

    def issued(self, tenant_id: str, deadline: float) -> Sequence[base.Credential]:
        try:
            namespace = self._names.namespace(tenant_id)
        except base.InvalidSpec:
            return []
        now = time.time()
        return [
            base.Credential(credential_id, "kubeconfig", until)
            for credential_id, until in self._accounts(namespace, deadline)
            if until > now
        ]

    def revoke(self, tenant_id: str, credential_id: str, deadline: float) -> None:
        try:
            namespace, name = self._names.namespace(tenant_id), _name(credential_id)
        except base.InvalidSpec:
            return  # nothing of that name was ever issued
        # The rights first: they end in the moment of it.
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{name}"
        self._api.delete(rbac, deadline=deadline)
        self._api.delete(self._names.core(namespace, "serviceaccounts", name), deadline=deadline)

    def _accounts(self, namespace: str, deadline: float) -> list[tuple[str, float]]:
        """Id and end of each credential that is there."""
        found, _ = self._api.listed(
            self._names.core(namespace, "serviceaccounts"),
            objects.BareList,
            deadline=deadline,
            labelSelector=f"{naming.OWNER}={self._names.owner},{naming.PART}=credential",
        )
        return [
            (one.metadata.name.removeprefix("c-"), _instant(one.metadata.annotations.get(_EXPIRES, "")))
            for one in found
        ]

    def _sweep(self, namespace: str, deadline: float) -> None:
        now = time.time()
        for credential_id, until in self._accounts(namespace, deadline):
            if until <= now:
                name = _name(credential_id)
                rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{name}"
                self._api.delete(rbac, deadline=deadline)
                self._api.delete(self._names.core(namespace, "serviceaccounts", name), deadline=deadline)


def _grant(
    request: base.CredentialRequest, name: str, namespace: str, expires: float, names: naming.Naming
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The service account, the role and what binds them."""
    labels = {naming.OWNER: names.owner, naming.TENANT: request.tenant.id, naming.PART: "credential"}
    meta = {"namespace": namespace, "labels": labels}
    rbac, role_name = "rbac.authorization.k8s.io", f"apisvc-{request.role}"
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**meta, "name": name, "annotations": {_EXPIRES: _stamp(expires)}},
        "automountServiceAccountToken": False,
    }
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "Role",
        "metadata": {**meta, "name": role_name},
        "rules": list(RIGHTS[request.role]),
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {**meta, "name": name},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": role_name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    return account, role, binding


def kubeconfig(current: session.Session, namespace: str, user: str, token: str) -> str:
    """The text of a kubeconfig that needs no other file."""
    where = current.configuration
    cluster: dict[str, Any] = {"server": current.host}
    if where.ssl_ca_cert:
        with open(where.ssl_ca_cert, "rb") as file:
            cluster["certificate-authority-data"] = base64.b64encode(file.read()).decode()
    if not where.verify_ssl:
        cluster["insecure-skip-tls-verify"] = True
    if where.tls_server_name:
        cluster["tls-server-name"] = where.tls_server_name
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": namespace, "context": {"cluster": "cluster", "user": user, "namespace": namespace}}
        ],
        "current-context": namespace,
    }
    return str(yaml.safe_dump(document, sort_keys=False))


def _name(credential_id: str) -> str:
    if not _ID.fullmatch(credential_id):
        raise base.InvalidSpec(f"The id {credential_id!r} cannot be part of a name on Kubernetes.")
    return f"c-{credential_id}"


def _stamp(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds")


def _instant(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
