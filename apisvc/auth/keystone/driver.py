"""The ``keystone`` driver: a token of OpenStack's Keystone is a login.

A token of a project acts in the tenant whose id is the project's. keystoneauth1
asks Keystone; keystonemiddleware would stand before the whole app, whoever
calls, and knows neither a request's deadline nor a pause while Keystone is down.
"""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence

from oslo_config import cfg

from apisvc import errors
from apisvc.auth import base
from apisvc.auth.keystone import checks, options
from apisvc.model import identity, users
from apisvc.storage import base as storage

#: What can be a token of Keystone's: Fernet, JWS, and the UUIDs of old.
_TOKEN = re.compile(r"[A-Za-z0-9_.=-]{16,8192}")
_PROJECT = re.compile(r"[0-9a-f]{32}")
_REFUSED = "This token is not good: Keystone does not know it, or it has expired or was revoked."


class KeystoneAuth(base.AuthDriver):
    """Keystone is asked about a token once in ``cache_time``."""

    contract = base.CONTRACT

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr, store: storage.Store) -> None:
        super().__init__(conf, store)
        options.check(conf)
        self.checks = checks.Checks(conf)
        self._roles = options.roles(conf.roles)
        self._admin_roles = frozenset(conf.admin_roles)
        self._admin_projects = frozenset(conf.admin_projects)
        self._service_roles = frozenset(conf.service_roles)
        self._create_tenants: bool = conf.create_tenants

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return options.listed()

    def authenticate(self, headers: Mapping[str, str], *, deadline: float) -> identity.Identity | None:
        text = headers.get("X-AUTH-TOKEN", "").strip()
        if not _TOKEN.fullmatch(text) or text.startswith(users.TOKEN_PREFIX):
            return None
        service = headers.get("X-SERVICE-TOKEN")
        if service is not None:
            self._require_service(service.strip(), deadline)
        found = self.checks.check(text, expired=service is not None, deadline=deadline)
        if found is None:
            raise errors.Unauthenticated(_REFUSED)
        return self._identity(found)

    def _require_service(self, text: str, deadline: float) -> None:
        """:raises Unauthenticated: not the token of a service."""
        found = self.checks.check(text, deadline=deadline) if _TOKEN.fullmatch(text) else None
        if found is None:
            raise errors.Unauthenticated("The X-Service-Token is not good.")
        if self._service_roles.isdisjoint(found.roles):
            wanted = ", ".join(sorted(self._service_roles))
            raise errors.Unauthenticated(
                f"The X-Service-Token is of nobody with a role of a service ({wanted})."
            )

    def _identity(self, found: checks.Told) -> identity.Identity:
        admin = not self._admin_roles.isdisjoint(found.roles) and (
            found.system or found.project_id in self._admin_projects
        )
        project = _project(found)
        if project is None and not admin:
            raise errors.Unauthenticated(
                "This token of Keystone is not for a project; ask Keystone for one that is."
            )
        role = self._role(found.roles)
        return identity.Identity(
            # Nobody's in apisvc's own records: those have UUIDs with dashes, and no colon.
            user_id=f"keystone:{found.user_id}",
            user_name=found.user_name,
            admin=admin,
            # APPSEC: An admin's token is good everywhere, any other in its project's tenant only.
            scope_tenant_id=project.tenant_id if project is not None and not admin else None,
            roles={project.tenant_id: role} if project is not None and role is not None else {},
            project=project if role is not None and self._create_tenants else None,
            source="keystone",
        )

    def _role(self, names: Iterable[str]) -> identity.Role | None:
        """The highest that one of Keystone's roles stands for."""
        held = {self._roles[name] for name in names if name in self._roles}
        return next((role for role in identity.Role if role in held), None)


def _project(found: checks.Told) -> identity.Project | None:
    """Its tenant has its id, written as all of ours are; None: it is no project, or a domain that acts as one."""
    # APPSEC: One form only, so that no two projects are one tenant.
    if found.project_id is None or not _PROJECT.fullmatch(found.project_id):
        return None
    return identity.Project(
        tenant_id=str(uuid.UUID(found.project_id)),
        name=found.project_name or "",
        description=f"The project {found.project_name} of the domain {found.project_domain} in Keystone.",
    )
