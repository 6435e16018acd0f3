"""What people do about themselves: ``/v1/user``."""

from apisvc.routes.v1 import package
from apisvc.routes.v1.user import (
    events,
    instances,
    tenants,
    tokens,
    users,
)


class Routes(package.Package):
    modules = (
        users,
        tokens,
        tenants,
        instances,
        events,
    )
