"""The hypervisors of a cloud, as nodes."""

import dataclasses
from typing import Any

from oslo_config import cfg

from apisvc.compute import base
from apisvc.compute.openstack import connections

#: The last of Nova's versions that tells a hypervisor's amounts, and the first with ids that are unique.
_NEWEST = (2, 87)
_BINARY = "nova-compute"
_REASON = "Cordoned by apisvc."


@dataclasses.dataclass(frozen=True, slots=True)
class Ratios:
    """What Nova gives away for each unit that a hypervisor has."""

    cpu: float
    ram: float
    disk: float


class Nodes:
    def __init__(self, clouds: connections.Connections, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self._clouds = clouds
        self._ratios = Ratios(
            conf.cpu_allocation_ratio, conf.ram_allocation_ratio, conf.disk_allocation_ratio
        )

    def all(self) -> list[base.Node]:
        return [_node(found, self._ratios) for found in self._hypervisors()]

    def cordon(self, name: str, schedulable: bool) -> base.Node:
        """Switch the compute service of a hypervisor's host on or off for new servers."""
        found = next((one for one in self._hypervisors() if one["hypervisor_hostname"] == name), None)
        if found is None:
            raise base.NotFound(f"The cloud has no hypervisor {name!r}.")
        compute, host = self._clouds.home().compute, found["service"]["host"]
        service = next(iter(compute.services(binary=_BINARY, host=host)), None)
        if service is None:
            raise base.NotFound(f"The host of {name!r} has no compute service.")
        if (service.status == "enabled") != schedulable:
            if schedulable:
                compute.enable_service(service, host=host, binary=_BINARY)
            else:
                compute.disable_service(service, host=host, binary=_BINARY, disabled_reason=_REASON)
        return _node({**found, "status": "enabled" if schedulable else "disabled"}, self._ratios)

    def _hypervisors(self) -> list[dict[str, Any]]:
        """As Nova tells them: later versions keep the amounts to themselves."""
        compute = self._clouds.home().compute
        data = compute.get_endpoint_data()
        newest = min(_NEWEST, tuple(data.max_microversion or (2, 1)))
        found: list[dict[str, Any]] = []
        url: str | None = "/os-hypervisors/detail"
        while url:
            answer = compute.get(url, microversion=f"{newest[0]}.{newest[1]}", raise_exc=True).json()
            found += answer["hypervisors"]
            links = answer.get("hypervisors_links", [])
            url = next((link["href"] for link in links if link["rel"] == "next"), None)
        return found


def _node(found: dict[str, Any], ratios: Ratios) -> base.Node:
    def have(name: str, ratio: float) -> float | None:
        return None if found.get(name) is None else found[name] * ratio

    ram, disk = have("memory_mb", ratios.ram), have("local_gb", ratios.disk)
    return base.Node(
        name=found["hypervisor_hostname"],
        ready=found.get("state") == "up",
        schedulable=found.get("status") == "enabled",
        vcpus=have("vcpus", ratios.cpu),
        ram_mb=None if ram is None else int(ram),
        disk_gb=None if disk is None else int(disk),
        vcpus_used=found.get("vcpus_used"),
        ram_mb_used=found.get("memory_mb_used"),
        disk_gb_used=found.get("local_gb_used"),
        detail={
            "type": str(found.get("hypervisor_type", "")),
            "version": str(found.get("hypervisor_version", "")),
            "host": str(found.get("service", {}).get("host", "")),
        },
    )
