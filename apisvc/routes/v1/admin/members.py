"""``/v1/admin/tenants/{tenant}/members``."""

from collections.abc import Sequence

from apisvc.policies import members as policies
from apisvc.routes.v1 import members
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def tenant_of(call: operation.Call) -> str:
        return service.tenants.get(call.context, call.path["tenant"]).value.id

    return members.operations(
        service.members, tenant_of, under="/v1/admin/tenants/{tenant}", ids="admin_", policies="admin:"
    )
