"""What administrators do, across all tenants: ``/v1/admin``."""

from apisvc.routes.v1 import package
from apisvc.routes.v1.admin import (
    backends,
    drivers,
    events,
    flavors,
    images,
    instances,
    members,
    nodes,
    quotas,
    tenants,
    tokens,
    users,
    workers,
)


class Routes(package.Package):
    modules = (
        tenants,
        quotas,
        members,
        users,
        tokens,
        flavors,
        images,
        instances,
        backends,
        nodes,
        drivers,
        workers,
        events,
    )
