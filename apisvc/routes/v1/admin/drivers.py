"""``/v1/admin/drivers``."""

from collections.abc import Sequence

from apisvc.policies import drivers as policies
from apisvc.schemas import drivers as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


def operations(service: services.Services) -> Sequence[operation.Operation]:
    return [
        operation.Operation(
            id="admin_list_drivers",
            method="GET",
            path="/v1/admin/drivers",
            summary="List the drivers in use",
            tag="drivers",
            handler=lambda call: operation.Answer(service.backends.drivers()),
            policy="admin:drivers:list",
            answer=schemas.DriverList,
        ),
    ]
