"""What it takes to use a compute driver without a service around it."""

import dataclasses
import time
from typing import Any

from apisvc.compute import base
from apisvc.testing import case


def context(
    driver: type[base.ComputeDriver],
    *,
    state_dir: str,
    name: str = "backend",
    owner: str = "apisvc-test",
    **options: Any,
) -> base.BackendContext:
    """What ``driver`` is built with; ``options`` are those of its ``options()`` that are not the default."""
    conf = case.group(driver, name, **options)
    return base.BackendContext(name=name, owner=owner, conf=conf, state_dir=state_dir)


def tenant(tenant_id: str = "tenant-1", **limits: int) -> base.TenantView:
    """A tenant without limits but ``limits``."""
    unlimited = {"instances": -1, "vcpus": -1, "ram_mb": -1, "disk_gb": -1}
    return base.TenantView(id=tenant_id, name=tenant_id, limits={**unlimited, **limits})


def workload(instance_id: str, **fields: Any) -> base.Workload:
    """A small workload; ``fields`` are those of :class:`apisvc.compute.base.Workload`."""
    small = base.Workload(
        id=instance_id,
        name=instance_id,
        tenant=tenant(),
        spec_hash="spec-1",
        image="",
        vcpus=1,
        ram_mb=256,
        disk_gb=1,
        flavor="small",
    )
    return dataclasses.replace(small, **fields)


def soon(seconds: float = 10.0) -> float:
    """A deadline."""
    return time.monotonic() + seconds
