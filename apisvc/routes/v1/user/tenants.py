"""``/v1/user/tenants``."""

from collections.abc import Sequence

from apisvc.policies import tenants as policies
from apisvc.routes.v1 import own_tenants
from apisvc.schemas import base
from apisvc.schemas import tenants as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.USER


def operations(service: services.Services) -> Sequence[operation.Operation]:
    return [
        operation.Operation(
            id="own_list_tenants",
            method="GET",
            path="/v1/user/tenants",
            summary="List the tenants that you are a member of",
            tag="tenants",
            handler=own_tenants.lister(service.members),
            policy="user:tenants:list",
            query=base.ListQuery,
            answer=schemas.OwnTenantList,
        ),
    ]
