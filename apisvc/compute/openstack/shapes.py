"""What a server is made from: its image, its flavor, and the request that makes it."""

import base64
import threading
import time
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, names, networks

#: Nova's longest user data, in bytes of base64.
MAX_USER_DATA = 65535
#: Seconds for which the list of flavors is good.
_FLAVORS_GOOD_FOR = 60.0
#: Fields of a Workload that make no sense for a machine, with what is right instead.
_REFUSED = {
    "command": "the image says what runs",
    "args": "the image says what runs",
    "env": "put it into user_data",
    "secret_env": "put it into user_data",
    "ports": "open them in a security group",
}


class Shapes:
    def __init__(
        self, owner: str, clouds: connections.Connections, nets: networks.Networks, conf: Any
    ) -> None:
        self._owner = owner
        self._clouds = clouds
        self._networks = nets
        self._conf = conf
        self._lock = threading.Lock()
        self._flavors: tuple[float, list[Any]] = (0.0, [])

    def check(self, workload: base.Workload) -> None:
        """InvalidSpec for what no cloud could do, before one is asked."""
        for field, instead in _REFUSED.items():
            if getattr(workload, field):
                raise base.InvalidSpec(f"A server takes no {field}; {instead}.")
        if not names.is_id(workload.id):
            raise base.InvalidSpec(f"The instance id {workload.id!r} cannot be part of a server's name.")
        if not workload.image:
            raise base.InvalidSpec("The image has no reference for this backend.")
        size = len(_encoded(workload.user_data))
        if size > MAX_USER_DATA:
            raise base.InvalidSpec(
                f"user_data is {size} bytes long in base64; the cloud takes {MAX_USER_DATA}."
            )
        if workload.volumes and not self._clouds.has("block-storage"):
            raise base.InvalidSpec("The cloud has no block storage, so there can be no volumes.")
        if workload.public_address:
            self._networks.can_publish()

    # The image

    def image(self, reference: str, project_id: str) -> str:
        """The id of an image, by name or id; it is there for the project, and ready."""
        glance = self._clouds.project(project_id).image
        found = connections.named(
            lambda id=None, **query: _by_id(glance, id) if id else glance.images(**query), reference
        )
        if len(found) > 1:
            raise base.InvalidSpec(f"The cloud has several images {reference!r}; refer to one by its id.")
        if not found:
            raise base.NotFound(f"The cloud has no image {reference!r} that the tenant can use.")
        if found[0].status != "active":
            raise base.InvalidSpec(f"The image {reference!r} is {found[0].status} on the cloud, not active.")
        return str(found[0].id)

    # The flavor

    def flavor(self, workload: base.Workload) -> Any:
        """The cloud's flavor: the one that is configured, of the same name and size, of the same size, or made."""
        if (mapped := self._conf.flavors.get(workload.flavor)) is not None:
            for one in self._all():
                if mapped in (one.name, one.id):
                    return one
            raise base.NotFound(f"The cloud has no flavor {mapped!r}.")
        fitting = self._fitting(workload)
        if not fitting and self._conf.manage_flavors:
            return self._made(workload)
        if not fitting:
            raise base.NotFound(
                f"The cloud has no flavor with {workload.vcpus} vcpus, {workload.ram_mb} MiB and "
                f"{self._disk(workload)} GiB."
            )
        return min(fitting, key=lambda one: (one.name != workload.flavor, one.name))

    def same_flavor(self, server: Any, flavor: Any) -> bool:
        """Whether the server has it."""
        mine = server.flavor
        if mine.vcpus is None:  # a Nova before 2.47 tells the id only
            return bool(mine.id == flavor.id)
        if mine.original_name == flavor.name:
            return True
        return (mine.vcpus, mine.ram, mine.disk) == (flavor.vcpus, flavor.ram, flavor.disk)

    def _fitting(self, workload: base.Workload) -> list[Any]:
        size = (workload.vcpus, workload.ram_mb, self._disk(workload))
        return [
            one
            for one in self._all()
            if (one.vcpus, one.ram, one.disk) == size and one.is_public and not one.is_disabled
        ]

    def _disk(self, workload: base.Workload) -> int:
        return 0 if self._conf.boot_from_volume else workload.disk_gb

    def _all(self) -> list[Any]:
        with self._lock:
            at, found = self._flavors
        if time.monotonic() - at > _FLAVORS_GOOD_FOR or not found:
            found = list(self._clouds.home().compute.flavors(is_public="None"))
            with self._lock:
                self._flavors = (time.monotonic(), found)
        return found

    def _made(self, workload: base.Workload) -> Any:
        from openstack import exceptions

        compute = self._clouds.home().compute
        # The id is the name too: so that two workers cannot make two.
        name = f"apisvc-{workload.vcpus}-{workload.ram_mb}-{self._disk(workload)}"
        try:
            made = compute.create_flavor(
                id=name, name=name, vcpus=workload.vcpus, ram=workload.ram_mb, disk=self._disk(workload)
            )
        except exceptions.ConflictException:
            made = compute.get_flavor(name)
        with self._lock:
            self._flavors = (0.0, [])
        return made

    # The request

    def request(self, workload: base.Workload, place: networks.Place, *, tags: bool) -> dict[str, Any]:
        """The attributes of the server to create, its key pair aside. Whatever it refers to is there."""
        conf = self._conf
        finished = not workload.public_address  # what is yet to come keeps the spec hash from being written
        wanted: dict[str, Any] = {
            "name": names.server(workload.id),
            "flavor_id": self.flavor(workload).id,
            "metadata": {
                **names.metadata(self._owner, workload),
                names.SPEC: workload.spec_hash if finished else "",
            },
            "networks": self._nics(workload, place),
        }
        groups = [self._networks.group(name, place.project_id) for name in workload.security_groups]
        if wanted["networks"] != "none" and (groups or place.security_groups):
            wanted["security_groups"] = [{"name": group} for group in groups or place.security_groups]
        if tags:
            wanted["tags"] = [names.owner_tag(self._owner), names.instance_tag(workload.id)]
        if workload.user_data:
            wanted["user_data"] = _encoded(workload.user_data)
        if conf.availability_zone:
            wanted["availability_zone"] = conf.availability_zone
        if conf.config_drive:
            wanted["config_drive"] = True
        image = self.image(workload.image, place.project_id)
        wanted["image_id"] = image
        if conf.boot_from_volume or workload.volumes:
            wanted["block_device_mapping"] = self._disks(workload, image)
            if conf.boot_from_volume:
                del wanted["image_id"]
        return wanted

    def _nics(self, workload: base.Workload, place: networks.Place) -> Any:
        if workload.networks:
            return [{"uuid": self._networks.find(name, place.project_id)} for name in workload.networks]
        if place.networks is None:
            return "none"
        return [{"uuid": network} for network in place.networks]

    def _disks(self, workload: base.Workload, image: str) -> list[dict[str, Any]]:
        """The root disk and the volumes. Nova makes them with the server and takes them away with it."""
        kind = {"volume_type": self._conf.volume_type} if self._conf.volume_type else {}
        root: dict[str, Any] = {"source_type": "image", "destination_type": "local", "uuid": image}
        if self._conf.boot_from_volume:
            root |= {"destination_type": "volume", "volume_size": max(1, workload.disk_gb), **kind}
        blank = {"source_type": "blank", "destination_type": "volume", **kind}
        disks = [root, *({**blank, "volume_size": size} for size in workload.volumes)]
        return [
            {**disk, "boot_index": 0 if disk is root else -1, "delete_on_termination": True} for disk in disks
        ]


def _by_id(glance: Any, image_id: str) -> list[Any]:
    from openstack import exceptions

    try:
        return [glance.get_image(image_id)]
    except exceptions.NotFoundException:
        return []


def _encoded(user_data: str) -> str:
    return base64.b64encode(user_data.encode()).decode()
