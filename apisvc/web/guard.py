"""Who is calling, where, and may they: before anything else of a request is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.auth import base as auth
from apisvc.model import identity
from apisvc.service import context, projects, tenants
from apisvc.web import operation, rules


class Headers(Mapping[str, str]):
    """The request headers of a WSGI environ, by upper-case name (``X-AUTH-TOKEN``)."""

    # PERF: Falcon's req.headers builds a dict of them all; one or two are read.
    def __init__(self, env: Mapping[str, Any]) -> None:
        self._env = env

    def __getitem__(self, name: str) -> str:
        value: str = self._env["HTTP_" + name.upper().replace("-", "_")]
        return value

    def get(self, name: str, default: Any = None) -> Any:
        # PERF: The mixin's goes by way of an exception.
        return self._env.get("HTTP_" + name.upper().replace("-", "_"), default)

    def __iter__(self) -> Iterator[str]:
        return (key[5:].replace("_", "-") for key in self._env if key.startswith("HTTP_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Guard:
    """Authenticates, finds the tenant of the path, and asks the policy."""

    def __init__(
        self, drivers: Sequence[auth.AuthDriver], all_tenants: tenants.Tenants, policy: rules.Rules
    ) -> None:
        self._drivers = drivers
        self._tenants = all_tenants
        self._policy = policy

    def identify(self, headers: Mapping[str, str], deadline: float) -> identity.Identity:
        """The caller, by the first driver that knows the credential.

        :raises Unauthenticated: nobody knows it, or there is none.
        """
        for driver in self._drivers:
            caller = driver.authenticate(headers, deadline=deadline)
            if caller is not None:
                return caller
        raise errors.Unauthenticated()

    def welcome(self, ctx: context.Context) -> None:
        """Make the caller's own tenant where its credential says so."""
        if ctx.identity is not None and ctx.identity.project is not None:
            projects.ensure(self._tenants, ctx, ctx.identity.project)

    def tenant(self, ctx: context.Context, ref: str) -> tenants.Visible:
        """The tenant of the path and the caller's role there; NotFound for one that is not theirs."""
        return self._tenants.visible(ctx, ref)

    def authorize(
        self, rule: str, caller: identity.Identity, tenant_id: str | None, role: identity.Role | None
    ) -> None:
        """:raises Forbidden: the policy does not let this caller do it."""
        credentials = caller.credentials(tenant_id, role)
        target = {"project_id": tenant_id, "user_id": caller.user_id}
        if not self._policy.allows(rule, target, credentials):
            raise errors.Forbidden(f"Your role does not allow {rule}.")


def effective(caller: identity.Identity, op: operation.Operation) -> identity.Identity:
    """The caller as far as this operation goes."""
    # APPSEC: A token that is good in one tenant only has no system role anywhere
    # else, whoever its user is.
    if caller.admin and caller.scope_tenant_id is not None and not op.in_tenant:
        return msgspec.structs.replace(caller, admin=False)
    return caller
