"""Emptying a tenant's place on the cloud: in the order that the cloud allows, from wherever an earlier try ended.

Members with credentials of their own can have made anything there, so with a
project of the tenant's own everything in it goes, whoever made it. In a shared
project only what bears the tenant's name goes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apisvc.compute.openstack import connections, credentials, names, projects, servers


class Removal:
    def __init__(
        self,
        owner: str,
        clouds: connections.Connections,
        tenants: projects.Projects,
        people: credentials.Credentials,
        found: servers.Servers,
    ) -> None:
        self._owner = owner
        self._clouds = clouds
        self._projects = tenants
        self._people = people
        self._servers = found

    def remove(self, tenant_id: str) -> bool:
        """One round; True when nothing is left."""
        name = names.scope(self._owner, tenant_id)
        if self._clouds.shared:
            return self._emptied(self._clouds.home().current_project_id, name)
        # First whoever could make more.
        self._people.remove(tenant_id)
        for other in self._projects.others(tenant_id):
            self._projects.untag(other, tenant_id)
        project = self._projects.find(tenant_id)
        if project is None:
            return True
        if not self._emptied(project.id, None):
            return False
        self._clouds.home().identity.delete_project(project.id)
        self._projects.forget(project.id)
        return True

    def _emptied(self, project_id: str, name: str | None) -> bool:
        """Delete what is there, kind by kind; ``name``: only what is called so. True when nothing was."""
        for find, drop in self._kinds(project_id, name):
            found = list(find())
            for one in found:
                _let_go(drop, one)
            if found and list(find()):
                return False  # what comes after depends on it
        return True

    def _kinds(
        self, project_id: str, name: str | None
    ) -> Iterator[tuple[Callable[[], list[Any]], Callable[[Any], Any]]]:
        home = self._clouds.home()
        nova, neutron = home.compute, home.network
        everything = {"all_projects": True, "project_id": project_id}
        if name is None:
            yield lambda: list(nova.servers(**everything)), self._servers.drop
            yield lambda: self._groups_of_servers(project_id), lambda one: nova.delete_server_group(one.id)
            if self._clouds.has("block-storage"):
                cinder = home.block_storage
                yield lambda: list(cinder.backups(**everything)), cinder.delete_backup
                yield lambda: list(cinder.snapshots(**everything)), cinder.delete_snapshot
                yield lambda: list(cinder.volumes(**everything)), cinder.delete_volume
            if self._clouds.has("image"):
                glance = home.image
                yield lambda: list(glance.images(owner=project_id)), glance.delete_image
        if not self._clouds.has("network"):
            return

        mine = {"project_id": project_id, **({"name": name} if name else {})}
        if name is None:
            yield lambda: list(neutron.ips(**mine)), neutron.delete_ip
        yield lambda: list(neutron.routers(**mine)), self._drop_router
        if name is None:
            yield lambda: _loose(neutron.ports(**mine)), neutron.delete_port
        yield lambda: list(neutron.networks(**mine)), neutron.delete_network  # with its subnets
        if name is None:
            yield lambda: list(neutron.subnet_pools(**mine)), neutron.delete_subnet_pool
        yield lambda: self._groups(project_id, name), neutron.delete_security_group

    def _groups(self, project_id: str, name: str | None) -> list[Any]:
        """Security groups. Not filtered by the cloud: asked for a project's, Neutron makes its default group."""
        found = self._clouds.home().network.security_groups()
        return [one for one in found if one.project_id == project_id and name in (None, one.name)]

    def _groups_of_servers(self, project_id: str) -> list[Any]:
        groups = self._clouds.home().compute.server_groups(all_projects=True)
        return [group for group in groups if group.project_id == project_id]

    def _drop_router(self, router: Any) -> None:
        neutron = self._clouds.home().network
        for port in list(neutron.ports(device_id=router.id)):
            if (port.device_owner or "").startswith("network:router_interface"):
                _let_go(lambda port=port: neutron.remove_interface_from_router(router, None, port.id))
        neutron.delete_router(router)


def _loose(ports: Iterable[Any]) -> list[Any]:
    """Ports that do not go with what they belong to."""
    return [port for port in ports if not (port.device_owner or "").startswith("network:")]


def _let_go(drop: Callable[..., Any], *args: Any) -> None:
    """What conflicts is in use for another moment; what is missing is gone."""
    from openstack import exceptions

    try:
        drop(*args)
    except (exceptions.ConflictException, exceptions.NotFoundException):
        return
