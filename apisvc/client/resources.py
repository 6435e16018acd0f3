"""The resources: which call has which path.

``tenant``, ``user``, ``instance`` ... are ids or names. ``**fields`` are the
fields of the request body, ``**filters`` those of the query, as the API guide
and ``/v1/openapi.json`` list them; ``if_match`` is the ``revision`` that is to
be replaced. What is returned is what the API answers.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from apisvc.client import wire

if TYPE_CHECKING:
    from apisvc.client import terminals
    from apisvc.client.client import Client

Dict = dict[str, Any]

#: Seconds that the service waits for a command when it is not told.
_EXEC = 60.0


class Resource:
    """A group of calls."""

    def __init__(self, api: "Client") -> None:
        self._api = api

    def _one(self, method: str, path: str, **options: Any) -> Dict:
        answer: Dict = self._api.call(method, path, **options)
        return answer


class Catalogue(Resource):
    """A resource that admins write, under ``/v1/admin/<plural>``."""

    plural: str

    def list(self, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(wire.path("admin", self.plural), self.plural, filters)

    def create(self, **fields: Any) -> Dict:
        return self._one("POST", wire.path("admin", self.plural), body=fields)

    def get(self, ref: str) -> Dict:
        return self._one("GET", wire.path("admin", self.plural, ref))

    def update(self, ref: str, *, if_match: int | None = None, **fields: Any) -> Dict:
        return self._one("PATCH", wire.path("admin", self.plural, ref), body=fields, if_match=if_match)

    def delete(self, ref: str, *, if_match: int | None = None) -> Dict | None:
        """Nothing, or where the removal goes on: the resource as it is meanwhile."""
        gone: Dict | None = self._api.call("DELETE", wire.path("admin", self.plural, ref), if_match=if_match)
        return gone


class Tenants(Catalogue):
    """Tenants. :meth:`show` is for members too; one's own are ``client.user.tenants()``."""

    plural = "tenants"

    def show(self, tenant: str) -> Dict:
        """A tenant, as one of its members sees it."""
        return self._one("GET", wire.path("tenants", tenant))


class Users(Catalogue):
    """Users, for admins."""

    plural = "users"


class _TenantCatalogue(Catalogue):
    def available(self, tenant: str, **filters: Any) -> Iterator[Dict]:
        """Those that a tenant can use, as one of its members sees them."""
        return self._api.pages(wire.path("tenants", tenant, self.plural), self.plural, filters)

    def show(self, tenant: str, ref: str) -> Dict:
        """One of them, as one of the tenant's members sees it."""
        return self._one("GET", wire.path("tenants", tenant, self.plural, ref))


class Flavors(_TenantCatalogue):
    """Sizes of instances."""

    plural = "flavors"


class Images(_TenantCatalogue):
    """What instances are made from."""

    plural = "images"


class Members(Resource):
    """Who belongs to a tenant, and as what: manager, member or reader."""

    def list(self, tenant: str, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(wire.path("tenants", tenant, "members"), "members", filters)

    def get(self, tenant: str, user: str) -> Dict:
        return self._one("GET", wire.path("tenants", tenant, "members", user))

    def set(self, tenant: str, user: str, role: str, *, if_match: int | None = None) -> Dict:
        """Make ``user`` a member with ``role``, or change the role."""
        return self._one(
            "PUT", wire.path("tenants", tenant, "members", user), body={"role": role}, if_match=if_match
        )

    def update(self, tenant: str, user: str, role: str, *, if_match: int | None = None) -> Dict:
        """Change the role of one who is a member already."""
        return self._one(
            "PATCH", wire.path("tenants", tenant, "members", user), body={"role": role}, if_match=if_match
        )

    def remove(self, tenant: str, user: str, *, if_match: int | None = None) -> None:
        self._api.call("DELETE", wire.path("tenants", tenant, "members", user), if_match=if_match)


class Tokens(Resource):
    """Tokens: one's own, or for admins those of ``user``. The secret is in create's answer only."""

    def _path(self, user: str | None, *rest: str) -> str:
        return wire.path(*(("admin", "users", user) if user else ("user",)), "tokens", *rest)

    def list(self, user: str | None = None, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(self._path(user), "tokens", filters)

    def create(self, user: str | None = None, **fields: Any) -> Dict:
        return self._one("POST", self._path(user), body=fields)

    def get(self, token: str, user: str | None = None) -> Dict:
        return self._one("GET", self._path(user, token))

    def revoke(self, token: str, user: str | None = None) -> None:
        self._api.call("DELETE", self._path(user, token))


class Instances(Resource):
    """Instances. Every write returns at once; :meth:`Client.wait` waits for what it asked for."""

    def _path(self, tenant: str, *rest: str) -> str:
        return wire.path("tenants", tenant, "instances", *rest)

    def list(self, tenant: str, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(self._path(tenant), "instances", filters)

    def list_all(self, **filters: Any) -> Iterator[Dict]:
        """Those of all tenants, for admins."""
        return self._api.pages(wire.path("admin", "instances"), "instances", filters)

    def create(self, tenant: str, *, idempotency_key: str | None = None, **fields: Any) -> Dict:
        """``idempotency_key``: name your own to be safe across restarts of your program too."""
        return self._one("POST", self._path(tenant), body=fields, idempotency_key=idempotency_key)

    def plan(self, tenant: str, **fields: Any) -> Dict:
        """What :meth:`create` would do at this moment; nothing is changed."""
        return self._one("POST", self._path(tenant), query={"dry_run": True}, body=fields)

    def get(self, tenant: str, instance: str, *, timeout: float | None = None) -> Dict:
        return self._one("GET", self._path(tenant, instance), timeout=timeout)

    def update(self, tenant: str, instance: str, *, if_match: int | None = None, **fields: Any) -> Dict:
        return self._one("PATCH", self._path(tenant, instance), body=fields, if_match=if_match)

    def delete(self, tenant: str, instance: str, *, if_match: int | None = None) -> Dict:
        return self._one("DELETE", self._path(tenant, instance), if_match=if_match)

    def act(self, tenant: str, instance: str, action: str) -> Dict:
        """``start``, ``stop`` or ``reboot``."""
        return self._one("POST", self._path(tenant, instance, "actions"), body={"action": action})

    def start(self, tenant: str, instance: str) -> Dict:
        return self.act(tenant, instance, "start")

    def stop(self, tenant: str, instance: str) -> Dict:
        return self.act(tenant, instance, "stop")

    def reboot(self, tenant: str, instance: str) -> Dict:
        return self.act(tenant, instance, "reboot")

    def logs(
        self,
        tenant: str,
        instance: str,
        *,
        tail: int | None = None,
        since: str | None = None,
        previous: bool | None = None,
    ) -> Iterator[bytes]:
        """What it printed so far, in chunks: its last ``tail`` lines, or ``since`` a moment (RFC 3339).

        ``previous``: what the run before the present one printed.
        """
        asked = {"tail": tail, "since": since, "previous": previous}
        return self._api.text(self._path(tenant, instance, "logs"), asked, idle=self._api.timeout)

    def follow_logs(
        self, tenant: str, instance: str, *, tail: int | None = None, since: str | None = None
    ) -> Iterator[bytes]:
        """The same, and then what it prints from now on, until it is at rest or gone."""
        asked = {"tail": tail, "since": since, "follow": True}
        return self._api.text(self._path(tenant, instance, "logs"), asked)

    def exec(
        self,
        tenant: str,
        instance: str,
        command: Sequence[str],
        *,
        timeout: float | None = None,
        **fields: Any,
    ) -> Dict:
        """Run a program inside it and wait, at most ``timeout`` seconds: exit_code, stdout, stderr ..."""
        body = {"command": list(command), "timeout": timeout, **fields}
        return self._one(
            "POST",
            self._path(tenant, instance, "exec"),
            body=body,
            once=True,
            timeout=(timeout or _EXEC) + self._api.timeout,
        )

    def connect(
        self, tenant: str, instance: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> "terminals.Terminal":
        """Run a program inside it and be connected with it; to be closed."""
        query = {"command": list(command), "stdin": stdin, "tty": tty}
        return self._api.connect(self._path(tenant, instance, "exec"), query)

    def console(self, tenant: str, instance: str) -> Dict:
        """Where its console is: ``kind`` and ``url``."""
        return self._one("POST", self._path(tenant, instance, "console"), once=True)

    def events(self, tenant: str, instance: str, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(self._path(tenant, instance, "events"), "events", filters)

    def follow_events(self, tenant: str, instance: str, after: int | None = None) -> Iterator[Dict]:
        return self._api.follow(self._path(tenant, instance, "events"), after)


class Quotas(Resource):
    """A tenant's limits, and what it uses of them. -1 is unlimited."""

    def get(self, tenant: str) -> Dict:
        return self._one("GET", wire.path("tenants", tenant, "quota"))

    def set(self, tenant: str, *, if_match: int | None = None, **limits: int) -> Dict:
        """For admins: change the limits named."""
        return self._one(
            "PATCH", wire.path("admin", "tenants", tenant, "quota"), body=limits, if_match=if_match
        )

    def usage(self, tenant: str) -> Dict:
        return self._one("GET", wire.path("tenants", tenant, "usage"))

    def usage_all(self, **filters: Any) -> Iterator[Dict]:
        """For admins: every tenant's."""
        return self._api.pages(wire.path("admin", "usage"), "usage", filters)


class Backends(Resource):
    """The configured targets."""

    def list(self) -> Iterator[Dict]:
        """All, for admins."""
        return self._api.pages(wire.path("admin", "backends"), "backends")

    def available(self, tenant: str) -> Iterator[Dict]:
        """Those that a tenant can use."""
        return self._api.pages(wire.path("tenants", tenant, "backends"), "backends")

    def get(self, backend: str) -> Dict:
        return self._one("GET", wire.path("admin", "backends", backend))

    def set(self, backend: str, *, if_match: int | None = None, **fields: Any) -> Dict:
        """``state``: enabled, draining or disabled; ``reason``: why; ``weight``; ``tenants``: who may use it."""
        return self._one("PATCH", wire.path("admin", "backends", backend), body=fields, if_match=if_match)


class Credentials(Resource):
    """Credentials of a backend's own API, for what a tenant has there. The content is in create's answer only."""

    def _path(self, tenant: str, backend: str, *rest: str) -> str:
        return wire.path("tenants", tenant, "backends", backend, "credentials", *rest)

    def list(self, tenant: str, backend: str) -> Iterator[Dict]:
        """Those that are good now."""
        return self._api.pages(self._path(tenant, backend), "credentials")

    def get(self, tenant: str, backend: str, credential: str) -> Dict:
        return self._one("GET", self._path(tenant, backend, credential))

    def create(self, tenant: str, backend: str, **fields: Any) -> Dict:
        """``seconds``: how long it is good."""
        return self._one("POST", self._path(tenant, backend), body=fields, once=True)

    def revoke(self, tenant: str, backend: str, credential: str) -> None:
        self._api.call("DELETE", self._path(tenant, backend, credential))


class Nodes(Resource):
    """The machines inside the backends, for admins."""

    def list(self, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(wire.path("admin", "nodes"), "nodes", filters)

    def get(self, backend: str, node: str) -> Dict:
        return self._one("GET", wire.path("admin", "nodes", backend, node))

    def act(self, backend: str, node: str, action: str) -> Dict:
        """``cordon`` or ``uncordon``."""
        path = wire.path("admin", "nodes", backend, node, "actions")
        return self._one("POST", path, body={"action": action})

    def cordon(self, backend: str, node: str) -> Dict:
        """Keep new instances away from it."""
        return self.act(backend, node, "cordon")

    def uncordon(self, backend: str, node: str) -> Dict:
        """Let it take new instances again."""
        return self.act(backend, node, "uncordon")


class Drivers(Resource):
    """The kinds of backends that the service has, for admins."""

    def list(self) -> Iterator[Dict]:
        return self._api.pages(wire.path("admin", "drivers"), "drivers")


class Workers(Resource):
    """The live workers, for admins."""

    def list(self) -> Iterator[Dict]:
        return self._api.pages(wire.path("admin", "workers"), "workers")


class Events(Resource):
    """The feed of a tenant or, with None and for admins, of everything."""

    def _path(self, tenant: str | None) -> str:
        return wire.path(*(("tenants", tenant) if tenant else ("admin",)), "events")

    def list(self, tenant: str | None = None, **filters: Any) -> Iterator[Dict]:
        return self._api.pages(self._path(tenant), "events", filters)

    def follow(self, tenant: str | None = None, after: int | None = None, **filters: Any) -> Iterator[Dict]:
        """Events as they happen, after the revision ``after`` (None: from now on), without end."""
        return self._api.follow(self._path(tenant), after, **filters)


class User(Resource):
    """The caller."""

    def get(self) -> Dict:
        return self._one("GET", "/v1/user")

    def tenants(self) -> Iterator[Dict]:
        """The tenants one belongs to, each with one's role."""
        return self._api.pages("/v1/user/tenants", "tenants")

    def instances(self, **filters: Any) -> Iterator[Dict]:
        """What one made oneself, in all one's tenants."""
        return self._api.pages("/v1/user/instances", "instances", filters)

    def events(self, **filters: Any) -> Iterator[Dict]:
        """What one did oneself."""
        return self._api.pages("/v1/user/events", "events", filters)
