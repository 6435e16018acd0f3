"""Shapes of flavors."""

from typing import Annotated

import msgspec

from apisvc.model import catalogue, codec
from apisvc.schemas import base

Vcpus = Annotated[int, msgspec.Meta(description="Virtual CPUs.", ge=1, le=1024, examples=[1])]
RamMb = Annotated[int, msgspec.Meta(description="Memory in MiB.", ge=1, le=16_777_216, examples=[512])]
DiskGb = Annotated[int, msgspec.Meta(description="Disk in GiB.", ge=0, le=1_048_576, examples=[5])]


class FlavorCreate(base.Body, frozen=True, kw_only=True):
    """A new flavor."""

    name: base.Name
    description: base.Description = ""
    vcpus: Vcpus
    ram_mb: RamMb
    disk_gb: DiskGb = 0


class FlavorUpdate(base.Body, frozen=True, kw_only=True):
    """What to change. Instances keep the amounts they were made with."""

    name: base.Name | msgspec.UnsetType = msgspec.UNSET
    description: base.Description | msgspec.UnsetType = msgspec.UNSET
    vcpus: Vcpus | msgspec.UnsetType = msgspec.UNSET
    ram_mb: RamMb | msgspec.UnsetType = msgspec.UNSET
    disk_gb: DiskGb | msgspec.UnsetType = msgspec.UNSET


class FlavorView(base.View, frozen=True, kw_only=True):
    """A size that instances can have."""

    id: base.Id
    name: base.Name
    description: base.Description
    vcpus: Vcpus
    ram_mb: RamMb
    disk_gb: DiskGb
    created_at: base.Timestamp
    updated_at: base.Timestamp
    revision: base.Revision


class FlavorList(base.View, frozen=True, kw_only=True):
    """A page of flavors."""

    flavors: list[FlavorView]
    next: str | None


def view(found: codec.Versioned[catalogue.Flavor]) -> FlavorView:
    """A flavor as everybody sees it."""
    flavor = found.value
    return FlavorView(
        id=flavor.id,
        name=flavor.name,
        description=flavor.description,
        vcpus=flavor.vcpus,
        ram_mb=flavor.ram_mb,
        disk_gb=flavor.disk_gb,
        created_at=base.timestamp(flavor.created_at),
        updated_at=base.timestamp(flavor.updated_at),
        revision=found.revision,
    )
