"""What people do in their tenants: ``/v1/tenants``."""

from apisvc.routes.v1 import package
from apisvc.routes.v1.tenant import (
    backends,
    credentials,
    events,
    flavors,
    images,
    instance_access,
    instance_history,
    instances,
    members,
    quotas,
    tenants,
)


class Routes(package.Package):
    modules = (
        tenants,
        quotas,
        members,
        flavors,
        images,
        backends,
        credentials,
        instances,
        instance_history,
        instance_access,
        events,
    )
