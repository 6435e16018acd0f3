"""``/v1/tenants/{tenant}/quota`` and ``/usage``."""

from collections.abc import Sequence

from apisvc.policies import quotas as policies
from apisvc.schemas import quotas as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


class _Quotas:
    def __init__(self, service: services.Services) -> None:
        self._quotas = service.quotas

    @staticmethod
    def show(call: operation.Call) -> operation.Answer:
        assert call.tenant is not None
        found = call.tenant
        return operation.Answer(schemas.view(found.value, found.revision), revision=found.revision)

    def usage(self, call: operation.Call) -> operation.Answer:
        assert call.tenant is not None
        found = self._quotas.usage(call.context, call.tenant)
        return operation.Answer(schemas.usage_view(found.tenant.value, found.used))


def operations(service: services.Services) -> Sequence[operation.Operation]:
    quotas = _Quotas(service)
    return [
        operation.Operation(
            id="show_quota",
            method="GET",
            path="/v1/tenants/{tenant}/quota",
            summary="Show the tenant's quota",
            tag="quotas",
            handler=quotas.show,
            policy="quotas:show",
            answer=schemas.QuotaView,
        ),
        operation.Operation(
            id="show_usage",
            method="GET",
            path="/v1/tenants/{tenant}/usage",
            summary="Show what the tenant uses of its quota",
            tag="usage",
            handler=quotas.usage,
            policy="usage:show",
            answer=schemas.UsageView,
        ),
    ]
