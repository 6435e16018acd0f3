"""Flavors and images: what an instance can be made of."""

import msgspec

from apisvc.model import tenants


class Flavor(msgspec.Struct, frozen=True, kw_only=True):
    """A size. Instances copy the amounts, so a flavor can be removed while in use."""

    id: str
    name: str
    description: str = ""
    vcpus: int
    ram_mb: int
    disk_gb: int
    created_at: float
    updated_at: float

    @property
    def amounts(self) -> tenants.Amounts:
        """What one instance of it takes from the quota."""
        return tenants.Amounts(instances=1, vcpus=self.vcpus, ram_mb=self.ram_mb, disk_gb=self.disk_gb)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A catalogue name with one reference per driver, e.g. ``{"local": "host", "kubernetes": "busybox:1.36"}``."""

    id: str
    name: str
    description: str = ""
    references: dict[str, str]
    created_at: float
    updated_at: float
