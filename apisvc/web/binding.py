"""From the table of operations to the routes of a Falcon app."""

import logging
from collections.abc import Sequence
from typing import Any

import falcon

from apisvc import errors
from apisvc.web import endpoint, operation

LOG = logging.getLogger(__name__)

#: Each package's name and what it brought.
Packages = Sequence[tuple[str, Sequence[operation.Operation]]]


class Resource:
    """Everything on one path: ``on_get``, ``on_post`` ..., each an :class:`endpoint.Endpoint`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def add(self, responder: endpoint.Endpoint) -> None:
        method = responder.operation.method
        setattr(self, f"on_{method.lower()}", responder)
        if method == "GET":
            self.on_head = responder


def name(routes: operation.Routes) -> str:
    """A route package, for people."""
    return f"{type(routes).__module__}:{type(routes).__qualname__}"


def brought(routes: operation.Routes, what: str) -> list[Any]:
    """What a package's ``operations()`` or ``policies()`` gives.

    :raises StartError: it fails.
    """
    try:
        return list(getattr(routes, what)())
    except Exception as error:
        LOG.debug("route package %s", name(routes), exc_info=error)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise errors.StartError(f"route package {name(routes)}: its {what}() fails: {reason}") from error


def check(packages: Packages) -> list[operation.Operation]:
    """All operations, checked to fit together.

    :raises StartError: two have the same id, or the same method and path; or
        one is not well formed. It names the packages.
    """
    by_id: dict[str, str] = {}
    by_place: dict[tuple[str, str], tuple[str, str]] = {}
    for package, operations in packages:
        for op in operations:
            if op.id in by_id:
                raise errors.StartError(
                    f"route packages {by_id[op.id]} and {package}: both have an operation {op.id}"
                )
            place = (op.method, op.path)
            if place in by_place:
                other, other_id = by_place[place]
                raise errors.StartError(
                    f"route packages {other} and {package}: {other_id} and {op.id} are both "
                    f"{op.method} {op.path}"
                )
            _check_one(package, op)
            by_id[op.id] = package
            by_place[place] = (package, op.id)
    return [op for _, operations in packages for op in operations]


def bind(app: "falcon.App[Any, Any]", packages: Packages, machinery: endpoint.Machinery) -> None:
    """Add a route for each path. Falcon answers OPTIONS and, with Allow, 405 by itself.

    :raises StartError: two paths cannot be told apart.
    """
    resources: dict[str, Resource] = {}
    for op in (op for _, operations in packages for op in operations):
        resource = resources.setdefault(op.path, Resource(op.path))
        resource.add(endpoint.Endpoint(op, machinery))
    for path, resource in resources.items():
        try:
            app.add_route(path, resource)
        except ValueError as error:
            owner = next(name for name, ops in packages if any(op.path == path for op in ops))
            raise errors.StartError(f"route package {owner}: path {path}: {error}") from None


def _check_one(package: str, op: operation.Operation) -> None:
    where = f"route package {package}: operation {op.id}"
    if op.method not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        raise errors.StartError(f"{where}: method {op.method!r}; GET, POST, PUT, PATCH or DELETE")
    if not op.path.startswith("/") or (op.path.endswith("/") and op.path != "/"):
        raise errors.StartError(f"{where}: path {op.path!r} must begin, and not end, with '/'")
    if op.in_tenant and op.policy is None:
        raise errors.StartError(f"{where}: what is under a tenant needs a policy")
    if op.body is not None and op.method == "GET":
        raise errors.StartError(f"{where}: a GET has no body")
