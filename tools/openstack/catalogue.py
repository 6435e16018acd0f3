"""What Keystone says of the services: the user as whom they talk to each other, and where each is."""

import functools
import json
import urllib.request
from typing import Any

from tools.openstack import layout

#: Per service: its name and type in the catalogue, and the path of its API.
SERVICES = {
    "keystone": ("keystone", "identity", "/v3"),
    "nova-api": ("nova", "compute", "/v2.1"),
    "placement": ("placement", "placement", ""),
    "glance": ("glance", "image", ""),
    "neutron": ("neutron", "network", ""),
    "cinder-api": ("cinder", "volumev3", "/v3"),
}


def write(lab: layout.Lab) -> None:
    """Make what is missing, and put right what points elsewhere."""
    project = _one(lab, "project", name="service", domain_id="default")
    user = _one(lab, "user", name="services", domain_id="default")
    _call(lab, "PATCH", f"/v3/users/{user}", {"user": {"password": lab.passwords["services"]}})
    for role in ("admin", "service"):
        _call(lab, "PUT", f"/v3/projects/{project}/users/{user}/roles/{_one(lab, 'role', name=role)}")
    for service, (name, kind, path) in SERVICES.items():
        identity = _one(lab, "service", name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            endpoint = {"service_id": identity, "interface": interface, "region_id": "RegionOne"}
            url = lab.url(service) + path
            found = _found(lab, "endpoint", service_id=identity, interface=interface)
            if not found:
                _call(lab, "POST", "/v3/endpoints", {"endpoint": {**endpoint, "url": url}})
            elif found[0]["url"] != url:
                _call(lab, "PATCH", f"/v3/endpoints/{found[0]['id']}", {"endpoint": {"url": url}})


def ask(lab: layout.Lab, service: str, path: str, version: str | None = None) -> Any:
    """GET as the admin; OSError when there is no good answer."""
    return _request("GET", lab.url(service) + path, _token(lab), None, version)


def _one(lab: layout.Lab, kind: str, **wanted: str) -> str:
    """The id of the ``kind`` with those properties, made where there is none."""
    found = _found(lab, kind, **wanted) or [_call(lab, "POST", f"/v3/{kind}s", {kind: wanted})[kind]]
    return str(found[0]["id"])


def _found(lab: layout.Lab, kind: str, **wanted: str) -> list[Any]:
    every = _call(lab, "GET", f"/v3/{kind}s")[f"{kind}s"]
    return [one for one in every if all(one.get(name) == value for name, value in wanted.items())]


def _call(lab: layout.Lab, method: str, path: str, body: Any = None) -> Any:
    return _request(method, lab.url("keystone") + path, _token(lab), body)


@functools.cache
def _token(lab: layout.Lab) -> str:
    domain = {"domain": {"id": "default"}}
    user = {"name": "admin", "password": lab.passwords["admin"], **domain}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"name": "admin", **domain}}}}
    request = urllib.request.Request(f"{lab.url('keystone')}/v3/auth/tokens", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.headers["X-Subject-Token"])


def _request(method: str, url: str, token: str, body: Any = None, version: str | None = None) -> Any:
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("X-Auth-Token", token)
    request.add_header("Content-Type", "application/json")
    if version:
        request.add_header("OpenStack-API-Version", version)
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    return json.loads(content) if content else None
