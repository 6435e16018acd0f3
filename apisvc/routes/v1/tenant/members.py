"""``/v1/tenants/{tenant}/members``."""

from collections.abc import Sequence

from apisvc.policies import members as policies
from apisvc.routes.v1 import members
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def operations(service: services.Services) -> Sequence[operation.Operation]:
    return members.operations(service.members, lambda call: call.tenant_id, under="/v1/tenants/{tenant}")
