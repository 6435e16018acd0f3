"""``/v1/tenants``: those that the caller is a member of."""

from collections.abc import Sequence

from apisvc.policies import tenants as policies
from apisvc.routes.v1 import own_tenants
from apisvc.schemas import base
from apisvc.schemas import tenants as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def _show(call: operation.Call) -> operation.Answer:
    assert call.tenant is not None
    # No ETag: the role in it is not the tenant's.
    return operation.Answer(schemas.own_view(call.tenant.value, call.tenant.revision, call.role))


def operations(service: services.Services) -> Sequence[operation.Operation]:
    return [
        operation.Operation(
            id="list_tenants",
            method="GET",
            path="/v1/tenants",
            summary="List the tenants that you are a member of",
            tag="tenants",
            handler=own_tenants.lister(service.members),
            policy="tenants:list",
            query=base.ListQuery,
            answer=schemas.OwnTenantList,
        ),
        operation.Operation(
            id="show_tenant",
            method="GET",
            path="/v1/tenants/{tenant}",
            summary="Show a tenant",
            tag="tenants",
            handler=_show,
            policy="tenants:show",
            answer=schemas.OwnTenantView,
            untagged=True,
        ),
    ]
