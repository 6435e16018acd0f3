"""``/v1/tenants/{tenant}/backends``."""

from collections.abc import Sequence

from apisvc.policies import backends as policies
from apisvc.schemas import backends as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def show(call: operation.Call) -> operation.Answer:
        shown = [known.tenant_view() for known in service.backends.list_for(call.context, call.tenant_id)]
        return operation.Answer(schemas.TenantBackendList(backends=shown))

    return [
        operation.Operation(
            id="list_backends",
            method="GET",
            path="/v1/tenants/{tenant}/backends",
            summary="List backends",
            description="Those that the tenant may use, in the order in which they are configured: of equals, the "
            "first gets an instance that names none.",
            tag="backends",
            handler=show,
            policy="backends:list",
            answer=schemas.TenantBackendList,
        ),
    ]
