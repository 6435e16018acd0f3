"""Tenants' projects: which there are, whose they are, and what limits them.

A project bears its owner and tenant as tags, which only administrators of the
cloud can write. So it is the project that says whose a server is, not the
server's metadata, which everybody who can log in to a project can write.
"""

import threading
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, names

#: Ports per instance in the network quota, and those of the network's own.
PORTS_EACH, PORTS_OWN = 4, 10


class Projects:
    """With tenancy ``project-per-tenant``. With ``shared-project`` it knows of one project, which is everybody's."""

    def __init__(self, owner: str, clouds: connections.Connections, conf: Any) -> None:
        self._owner = owner
        self._clouds = clouds
        self._conf = conf
        self._lock = threading.Lock()
        #: Project id: ids of the tenants whose servers may be in it.
        self._tenants: dict[str, frozenset[str]] = {}

    # Whose they are

    def holds(self, project_id: str, tenant_id: str) -> bool:
        """Whether a server of the tenant may be in the project."""
        if self._clouds.shared:
            return True
        known = self._tenants.get(project_id)
        if known is None or tenant_id not in known:
            # Somebody else may have made it, or tagged it, since we looked.
            known = self._ask(project_id)
        return tenant_id in known

    def _ask(self, project_id: str) -> frozenset[str]:
        from openstack import exceptions

        try:
            return self._remember(self._clouds.home().identity.get_project(project_id))
        except exceptions.NotFoundException:
            return frozenset()

    def learn(self, project_ids: set[str]) -> None:
        """Ask for all at once when several are not known yet."""
        if not self._clouds.shared and len(project_ids - self._tenants.keys()) > 1:
            for project in self._clouds.home().identity.projects(tags=names.owner_tag(self._owner)):
                self._remember(project)

    def find(self, tenant_id: str) -> Any:
        """The tenant's own project, or None."""
        home = self._clouds.home()
        name = names.scope(self._owner, tenant_id)
        for project in home.identity.projects(name=name, domain_id=self.domain()):
            if tenant_id not in self._remember(project):
                raise base.InvalidSpec(
                    f"The cloud has a project {name!r} that does not bear the tags of this deployment; "
                    "rename or remove it."
                )
            return project
        return None

    def others(self, tenant_id: str) -> list[Any]:
        """Projects of other people's in which servers were adopted for the tenant."""
        home = self._clouds.home()
        mine = names.scope(self._owner, tenant_id)
        found = home.identity.projects(tags=names.owner_tag(self._owner))
        return [one for one in found if one.name != mine and tenant_id in self._remember(one)]

    def forget(self, project_id: str) -> None:
        with self._lock:
            self._tenants.pop(project_id, None)

    def _remember(self, project: Any) -> frozenset[str]:
        tags = list(project.tags or [])
        tenants: frozenset[str] = frozenset()
        if names.owner_tag(self._owner) in tags:
            prefix = names.tenant_tag("")
            tenants = frozenset(tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix))
        if tenants:
            with self._lock:
                self._tenants[project.id] = tenants
        return tenants

    # Making them

    def ensure(self, tenant: base.TenantView) -> str:
        """The id of the project that the tenant's servers are made in, as it should be."""
        home = self._clouds.home()
        if self._clouds.shared:
            return str(home.current_project_id)
        wanted = {
            "description": f"Tenant {tenant.name} ({tenant.id}) of the apisvc deployment {self._owner}.",
            "tags": sorted([names.owner_tag(self._owner), names.tenant_tag(tenant.id)]),
        }
        project = self.find(tenant.id)
        if project is None:
            name = names.scope(self._owner, tenant.id)
            project = home.identity.create_project(name=name, domain_id=self.domain(), **wanted)
        elif project.description != wanted["description"]:
            home.identity.update_project(project.id, description=wanted["description"])
        with self._lock:
            self._tenants[project.id] = frozenset([tenant.id])
        self._grant(project)
        self._limit(project.id, tenant)
        return str(project.id)

    def tag(self, project_id: str, tenant_id: str) -> None:
        """Let servers of the tenant be in a project of somebody else's."""
        home = self._clouds.home()
        if self._clouds.shared or self.holds(project_id, tenant_id):
            return
        for tag in (names.owner_tag(self._owner), names.tenant_tag(tenant_id)):
            home.identity.put(f"/projects/{project_id}/tags/{tag}", raise_exc=True)
        self.forget(project_id)

    def untag(self, project: Any, tenant_id: str) -> None:
        """The other way round. The owner's tag stays while another tenant needs it."""
        home = self._clouds.home()
        gone = [names.tenant_tag(tenant_id)]
        prefix = names.tenant_tag("")
        if not [tag for tag in project.tags if tag.startswith(prefix) and tag not in gone]:
            gone.append(names.owner_tag(self._owner))
        for tag in gone:
            home.identity.delete(f"/projects/{project.id}/tags/{tag}", raise_exc=True)
        self.forget(project.id)

    def role(self, name: str) -> str:
        """The id of a role of the cloud."""

        def find() -> str:
            for role in self._clouds.home().identity.roles(name=name):
                return str(role.id)
            raise base.NotFound(f"The cloud has no role {name!r}.")

        return self._clouds.once(f"role {name}", find)

    def domain(self) -> str:
        """The id of the domain of tenants' projects and users."""
        return self._clouds.once("domain", self._find_domain)

    def _find_domain(self) -> str:
        home, asked = self._clouds.home(), self._conf.tenant_domain
        if not asked:
            access = home.session.auth.get_access(home.session)
            return str(access.project_domain_id or access.domain_id or "default")
        for domain in home.identity.domains():
            if asked in (domain.id, domain.name):
                return str(domain.id)
        raise base.NotFound(f"The cloud has no domain {asked!r}.")

    def _grant(self, project: Any) -> None:
        identity, user_id = self._clouds.home().identity, self._clouds.home().current_user_id
        role = self.role(self._conf.member_role)
        if not identity.validate_user_has_project_role(project, user_id, role):
            identity.assign_project_role_to_user(project, user_id, role)

    def _limit(self, project_id: str, tenant: base.TenantView) -> None:
        """Make the cloud's quota what the tenant's is; written only where it differs."""
        home, limits = self._clouds.home(), tenant.limits
        instances = limits.get("instances", -1)
        compute = {
            "instances": instances,
            "cores": limits.get("vcpus", -1),
            "ram": limits.get("ram_mb", -1),
        }
        if _differs(home.compute.get_quota_set(project_id), compute):
            home.compute.update_quota_set(project_id, **compute)
        if self._clouds.has("network"):
            network = {
                "floating_ips": instances,
                "ports": instances if instances < 0 else instances * PORTS_EACH + PORTS_OWN,
            }
            if _differs(home.network.get_quota(project_id), network):
                home.network.update_quota(project_id, **network)
        if self._clouds.has("block-storage"):
            storage = {"gigabytes": limits.get("disk_gb", -1)}
            if _differs(home.block_storage.get_quota_set(project_id), storage):
                home.block_storage.update_quota_set(project_id, **storage)


def _differs(found: Any, wanted: dict[str, int]) -> bool:
    return any(getattr(found, name) != value for name, value in wanted.items())
