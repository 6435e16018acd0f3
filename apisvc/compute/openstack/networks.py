"""What a tenant has of networks, and the public addresses of its servers.

Neutron's names are not unique and its creates are not idempotent, so two
workers can make two of a thing. All take the elder one then, and the younger
is deleted unless something has come to depend on it.
"""

import dataclasses
import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, names, options


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a tenant's servers are made. ``networks`` None: nowhere."""

    project_id: str
    networks: tuple[str, ...] | None
    security_groups: tuple[str, ...]


def elder(found: Iterable[Any]) -> list[Any]:
    """In the order in which they were made."""
    return sorted(found, key=lambda one: (str(one.created_at or ""), one.id))


class Networks:
    def __init__(self, clouds: connections.Connections, conf: Any) -> None:
        self._clouds = clouds
        self._conf = conf
        self._rules = options.rules(conf.ingress)

    def ensure(self, project_id: str, name: str) -> Place:
        """What the policy says of a tenant; ``name`` is its scope's."""
        policy = self._conf.network_policy
        groups = tuple(self._conf.security_groups)
        if policy == "none":
            return Place(project_id, None, ())
        if policy == "shared":
            return Place(project_id, (self.find(self._conf.network, project_id),), groups)
        network_id = self._own(project_id, name)
        return Place(project_id, (network_id,), groups or (self._group(project_id, name),))

    def find(self, name_or_id: str, project_id: str) -> str:
        """The id of a network that the project can use; NotFound."""
        found = connections.named(self._clouds.project(project_id).network.networks, name_or_id)
        if len(found) > 1:
            raise base.InvalidSpec(f"The cloud has several networks {name_or_id!r}; refer to one by its id.")
        if not found:
            raise base.NotFound(f"The cloud has no network {name_or_id!r} that the tenant can use.")
        return str(found[0].id)

    def group(self, name_or_id: str, project_id: str) -> str:
        """The id of a security group of the project; NotFound."""
        neutron = self._clouds.project(project_id).network
        found = connections.named(neutron.security_groups, name_or_id, project_id=project_id)
        if len(found) > 1:
            raise base.InvalidSpec(
                f"There are several security groups {name_or_id!r}; refer to one by its id."
            )
        if not found:
            raise base.NotFound(f"The tenant has no security group {name_or_id!r} on the cloud.")
        return str(found[0].id)

    # A network of the tenant's own

    def _own(self, project_id: str, name: str) -> str:
        neutron = self._clouds.home().network
        mine = {"name": name, "project_id": project_id}
        network = _one(
            lambda: neutron.networks(**mine), lambda: neutron.create_network(**mine), neutron.delete_network
        )
        subnet = _one(
            lambda: neutron.subnets(network_id=network.id, **mine),
            lambda: neutron.create_subnet(
                network_id=network.id,
                ip_version=ipaddress.ip_network(self._conf.network_cidr).version,
                cidr=self._conf.network_cidr,
                dns_nameservers=self._conf.dns_servers,
                **mine,
            ),
            neutron.delete_subnet,
        )
        if self._conf.external_network:
            self._route(mine, subnet)
        return str(network.id)

    def _route(self, mine: dict[str, str], subnet: Any) -> None:
        neutron = self._clouds.home().network
        external = self._external()
        router = _one(
            lambda: neutron.routers(**mine),
            lambda: neutron.create_router(external_gateway_info={"network_id": external}, **mine),
            neutron.delete_router,
        )
        if (router.external_gateway_info or {}).get("network_id") != external:
            neutron.update_router(router, external_gateway_info={"network_id": external})
        if not self._routed(router, subnet):
            self._attach(router, subnet)

    def _routed(self, router: Any, subnet: Any) -> bool:
        ports = self._clouds.home().network.ports(device_id=router.id)
        return any(fixed["subnet_id"] == subnet.id for port in ports for fixed in port.fixed_ips or [])

    def _attach(self, router: Any, subnet: Any) -> None:
        from openstack import exceptions

        try:
            self._clouds.home().network.add_interface_to_router(router, subnet.id)
        except (exceptions.BadRequestException, exceptions.ConflictException):
            if not self._routed(router, subnet):  # by another worker, in this moment
                raise

    def _external(self) -> str:
        name = self._conf.external_network

        def find() -> str:
            for network in connections.named(self._clouds.home().network.networks, name):
                return str(network.id)
            raise base.NotFound(f"The cloud has no external network {name!r}.")

        return self._clouds.once("external network", find)

    def _group(self, project_id: str, name: str) -> str:
        neutron = self._clouds.home().network
        mine = {"name": name, "project_id": project_id}
        group = _one(
            lambda: neutron.security_groups(**mine),
            lambda: neutron.create_security_group(description="Made by apisvc.", **mine),
            neutron.delete_security_group,
        )
        there = {
            (rule["protocol"], rule["port_range_min"], rule["port_range_max"], rule["remote_ip_prefix"])
            for rule in group.security_group_rules or []
            if rule["direction"] == "ingress"
        }
        for rule in self._rules:
            if (rule.protocol, rule.first, rule.last, rule.cidr) not in there:
                _again_is_fine(
                    neutron.create_security_group_rule,
                    security_group_id=group.id,
                    project_id=project_id,
                    direction="ingress",
                    ether_type=rule.ethertype,
                    protocol=rule.protocol,
                    port_range_min=rule.first,
                    port_range_max=rule.last,
                    remote_ip_prefix=rule.cidr,
                )
        if not any(rule["remote_group_id"] == group.id for rule in group.security_group_rules or []):
            for version in ("IPv4", "IPv6"):
                _again_is_fine(
                    neutron.create_security_group_rule,
                    security_group_id=group.id,
                    project_id=project_id,
                    direction="ingress",
                    ether_type=version,
                    remote_group_id=group.id,
                )
        return str(group.id)

    # Public addresses

    def can_publish(self) -> None:
        """InvalidSpec when there is nowhere to take public addresses from."""
        if not self._conf.external_network:
            raise base.InvalidSpec("This backend gives no public addresses: it has no external network.")

    def publish(self, server: Any, owner: str, instance_id: str) -> None:
        """Give a server that has a port a public address, unless it has one."""
        neutron = self._clouds.home().network
        ports = elder(neutron.ports(device_id=server.id))
        if not ports:
            raise base.InvalidSpec("It cannot have a public address: it is attached to no network.")
        if not list(neutron.ips(port_id=ports[0].id)):
            neutron.create_ip(
                floating_network_id=self._external(),
                port_id=ports[0].id,
                project_id=server.project_id,
                description=names.note(owner, instance_id),
            )

    def unpublish(self, owner: str, instance_id: str, project_id: str) -> None:
        """Give back the public addresses of an instance."""
        neutron = self._clouds.home().network
        note = names.note(owner, instance_id)
        for address in neutron.ips(project_id=project_id):
            if address.description == note:
                neutron.delete_ip(address)


def _one(find: Callable[[], Any], make: Callable[[], Any], drop: Callable[[Any], Any]) -> Any:
    """The one that is there, or a new one; a younger twin is dropped if that can be."""
    found = elder(find())
    if not found:
        found = _made(find, make)
    for twin in found[1:]:
        _again_is_fine(drop, twin)
    return found[0]


def _made(find: Callable[[], Any], make: Callable[[], Any]) -> list[Any]:
    """What is there after making one; somebody else's, when that is why the cloud refused ours."""
    from openstack import exceptions

    try:
        made = make()
    except (exceptions.ConflictException, exceptions.BadRequestException):
        if others := elder(find()):
            return others
        raise
    return elder(find()) or [made]


def _again_is_fine(do: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """A conflict says that it is so already, or must stay as it is."""
    from openstack import exceptions

    try:
        do(*args, **kwargs)
    except exceptions.ConflictException:
        return
