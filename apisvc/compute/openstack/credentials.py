"""A tenant's members let into the tenant's project: an application credential each, as a clouds.yaml.

Keystone gives an application credential only to the user it belongs to. So
each tenant has a user of its own on the cloud, for nothing else, which has the
roles in the tenant's project that its members can be given. Its password is
derived from ours, is told to nobody, and is set again when it does not work.
"""

import base64
import calendar
import contextlib
import datetime
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, names, projects

KIND = "clouds.yaml"
_PREFIX = "apisvc-"


class Credentials:
    def __init__(
        self, owner: str, clouds: connections.Connections, tenants: projects.Projects, conf: Any
    ) -> None:
        self._owner = owner
        self._clouds = clouds
        self._projects = tenants
        self._conf = conf

    def issue(self, request: base.CredentialRequest, project_id: str) -> base.Credential:
        self._only_with_projects()
        role = self._conf.credential_roles.get(request.role)
        if role is None:
            raise base.InvalidSpec(f"The role {request.role!r} has none on the cloud; see credential_roles.")
        user, password = self._user(request.tenant, project_id)
        self._sweep(user.id)
        expires_at = int(time.time()) + request.seconds
        with self._logged_in(user.id, password, project_id) as mine:
            # PERF: a login and one call; nothing of it is kept.
            made = mine.identity.create_application_credential(
                user=user.id,
                name=f"{_PREFIX}{request.id}",
                description=f"Issued by apisvc to a {request.role} of {request.tenant.name}.",
                roles=[{"name": role}],
                expires_at=datetime.datetime.fromtimestamp(expires_at, datetime.UTC).strftime(
                    "%Y-%m-%dT%H:%M:%S"
                ),
                unrestricted=False,
            )
        return base.Credential(request.id, KIND, float(expires_at), self._file(made))

    def issued(self, tenant_id: str) -> list[base.Credential]:
        self._only_with_projects()
        user = self._find(tenant_id)
        now = time.time()
        return [
            base.Credential(one.name.removeprefix(_PREFIX), KIND, expires)
            for one in (self._of(user.id) if user else ())
            if (expires := _instant(one.expires_at)) > now
        ]

    def revoke(self, tenant_id: str, credential_id: str) -> None:
        self._only_with_projects()
        user = self._find(tenant_id)
        for one in self._of(user.id) if user else ():
            if one.name == f"{_PREFIX}{credential_id}":
                self._delete(user.id, one)

    def remove(self, tenant_id: str) -> None:
        """The tenant's user, with its credentials and key pairs."""
        user = self._find(tenant_id)
        if user is None:
            return
        compute = self._clouds.home().compute
        for pair in list(compute.keypairs(user_id=user.id)):
            compute.delete_keypair(pair.name, user_id=user.id)
        self._clouds.home().identity.delete_user(user.id)

    # The user

    def _find(self, tenant_id: str) -> Any:
        name = names.scope(self._owner, tenant_id)
        found = self._clouds.home().identity.users(name=name, domain_id=self._projects.domain())
        return next((user for user in found if user.name == name), None)

    def _user(self, tenant: base.TenantView, project_id: str) -> tuple[Any, str]:
        """The tenant's user with all roles that can be asked for, and its password."""
        from openstack import exceptions

        identity, password = self._clouds.home().identity, self._password(tenant.id)
        user = self._find(tenant.id)
        if user is None:
            with contextlib.suppress(exceptions.ConflictException):  # another process was faster
                identity.create_user(
                    name=names.scope(self._owner, tenant.id),
                    domain_id=self._projects.domain(),
                    password=password,
                    description=f"For members of {tenant.name}; made by the apisvc deployment {self._owner}.",
                )
            user = self._find(tenant.id)
        if user is None:
            raise base.InProgress("The tenant's user is being removed.")
        for name in set(self._conf.credential_roles.values()):
            role = self._projects.role(name)
            if not identity.validate_user_has_project_role(project_id, user.id, role):
                identity.assign_project_role_to_user(project_id, user.id, role)
        return user, password

    @contextlib.contextmanager
    def _logged_in(self, user_id: str, password: str, project_id: str) -> Iterator[Any]:
        from keystoneauth1 import exceptions

        mine = self._clouds.as_user(user_id, password, project_id)
        try:
            try:
                mine.session.get_token()
            except exceptions.Unauthorized:
                # Our own password has changed since, and with it what is derived from it.
                self._clouds.home().identity.update_user(user_id, password=password)
                mine.session.get_token()
            yield mine
        finally:
            mine.session.session.close()
            mine.close()

    def _password(self, tenant_id: str) -> str:
        secret = self._clouds.secret() or secrets.token_hex(32)
        text = f"apisvc {self._owner} {tenant_id}".encode()
        digest = hmac.digest(secret.encode(), text, hashlib.sha256)
        # The ending satisfies clouds that ask for several kinds of characters.
        return base64.urlsafe_b64encode(digest).decode().rstrip("=") + "-Aa1!"

    # Its credentials

    def _of(self, user_id: str) -> list[Any]:
        found = self._clouds.home().identity.application_credentials(user=user_id)
        return [one for one in found if one.name.startswith(_PREFIX)]

    def _delete(self, user_id: str, one: Any) -> None:
        self._clouds.home().identity.delete_application_credential(user_id, one.id)

    def _sweep(self, user_id: str) -> None:
        for one in self._of(user_id):
            if _instant(one.expires_at) <= time.time():
                self._delete(user_id, one)

    def _file(self, made: Any) -> str:
        """The text of a clouds.yaml; JSON strings are YAML strings too, whatever is in them."""
        config = self._clouds.home().config
        fields = {
            "auth_type": "v3applicationcredential",
            "region_name": config.get_region_name() or None,
            "interface": self._conf.interface,
            "identity_api_version": "3",
        }
        auth = {
            "auth_url": config.auth["auth_url"],
            "application_credential_id": made.id,
            "application_credential_secret": made.secret,
        }
        lines = ["clouds:", f"  {json.dumps(self._owner)}:"]
        lines += [f"    {name}: {json.dumps(value)}" for name, value in fields.items() if value]
        lines += ["    auth:", *(f"      {name}: {json.dumps(value)}" for name, value in auth.items())]
        return "\n".join(lines) + "\n"

    def _only_with_projects(self) -> None:
        if self._clouds.shared:
            raise base.InvalidSpec(
                "All tenants of this backend share one project on the cloud, so a credential could not be "
                "limited to one of them."
            )


def _instant(text: str | None) -> float:
    """Seconds since the epoch; a credential without an end is good for ever."""
    if not text:
        return float("inf")
    return float(calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
