"""Servers that others made, taken under management where they are."""

from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, names, projects, servers


class Adoption:
    def __init__(
        self,
        owner: str,
        clouds: connections.Connections,
        found: servers.Servers,
        tenants: projects.Projects,
    ) -> None:
        self._owner = owner
        self._clouds = clouds
        self._servers = found
        self._projects = tenants

    def strays(self) -> list[base.Stray]:
        return [self._stray(server) for server in self._servers.strangers()]

    def _stray(self, server: Any) -> base.Stray:
        size = server.flavor
        if size.vcpus is None:  # a Nova before 2.47 tells the id only
            size = self._clouds.home().compute.get_flavor(size.id)
        return base.Stray(
            handle=server.id,
            name=server.name,
            phase=self._servers.phase(server),
            image=(server.image.id if server.image else None) or "",
            vcpus=size.vcpus,
            ram_mb=size.ram,
            disk_gb=size.disk,
            place=server.project_id,
        )

    def adopt(self, workload: base.Workload, handle: str) -> base.Observed:
        """From now on the server bears the tag; its project says that it may."""
        from openstack import exceptions

        compute = self._clouds.home().compute
        try:
            server = compute.get_server(handle)
        except (exceptions.NotFoundException, exceptions.BadRequestException):
            raise base.NotFound(f"The cloud has no server {handle!r}.") from None
        bears = server.metadata or {}
        if bears.get(names.OWNER, self._owner) != self._owner:
            raise base.InvalidSpec("The server belongs to another deployment of apisvc.")
        if bears.get(names.INSTANCE, workload.id) != workload.id:
            raise base.InvalidSpec("The server belongs to another instance.")
        if not self._servers.tagged:
            raise base.InvalidSpec("The cloud is too old to adopt servers: it knows no tags of them.")
        # In this order: seen with the tag, it is ours in every way.
        self._projects.tag(server.project_id, workload.tenant.id)
        wishes = {**names.metadata(self._owner, workload), names.SPEC: workload.spec_hash}
        self._servers.mark(server, **wishes)
        for tag in (names.owner_tag(self._owner), names.instance_tag(workload.id)):
            if tag not in (server.tags or []):
                compute.put(f"/servers/{server.id}/tags/{tag}", microversion="2.52", raise_exc=True)
        return self._servers.observed(compute.get_server(handle))
