"""This host as the one node of a backend."""

import os
import platform
import shutil
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

from apisvc.compute import base

#: Of the backend: nothing keeps instances to their amounts, so more can be promised than there is.
OPTIONS = (
    cfg.FloatOpt(
        "cpu_allocation_ratio",
        default=16.0,
        min=0.01,
        help="Virtual CPUs that instances may have together, for each CPU of this host.",
    ),
    cfg.FloatOpt(
        "ram_allocation_ratio",
        default=1.5,
        min=0.01,
        help="MiB of memory that instances may have together, for each MiB of this host.",
    ),
)


def node(parent: str, running: Sequence[Mapping[str, Any]], conf: cfg.ConfigOpts.GroupAttr) -> base.Node:
    """The node. ``parent``: the folder of all instances' folders; ``running``: the wishes of those that run."""
    os.makedirs(parent, mode=0o700, exist_ok=True)
    disk = shutil.disk_usage(parent)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return base.Node(
        name=socket.gethostname(),
        ready=True,
        vcpus=len(os.sched_getaffinity(0)) * conf.cpu_allocation_ratio,
        ram_mb=int(memory * conf.ram_allocation_ratio),
        disk_gb=disk.total >> 30,
        vcpus_used=float(sum(wish["vcpus"] for wish in running)),
        ram_mb_used=sum(wish["ram_mb"] for wish in running),
        disk_gb_used=disk.used >> 30,
        detail={"kernel": platform.release(), "machine": platform.machine()},
    )
