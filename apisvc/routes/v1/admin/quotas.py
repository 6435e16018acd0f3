"""``/v1/admin/tenants/{tenant}/quota`` and ``/v1/admin/usage``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.policies import quotas as policies
from apisvc.schemas import base
from apisvc.schemas import quotas as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_QUOTA = "/v1/admin/tenants/{tenant}/quota"


class _Quotas:
    def __init__(self, service: services.Services) -> None:
        self._tenants = service.tenants
        self._quotas = service.quotas

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._tenants.get(call.context, call.path["tenant"])
        return operation.Answer(schemas.view(found.value, found.revision), revision=found.revision)

    def update(self, call: operation.Call) -> operation.Answer:
        done = self._quotas.update(call.context, call.path["tenant"], call.body.asked())
        return operation.Answer(schemas.view(done.result, done.revision), revision=done.revision)

    def usage(self, call: operation.Call) -> operation.Answer:
        found = self._quotas.list_usage(call.context, call.page)
        shown = [schemas.usage_view(item.tenant.value, item.used) for item in found.items]
        return operation.Answer(schemas.UsageList(usage=shown, next=call.next_url(found.marker)))


def operations(service: services.Services) -> Sequence[operation.Operation]:
    quotas = _Quotas(service)
    return [
        operation.Operation(
            id="admin_show_quota",
            method="GET",
            path=_QUOTA,
            summary="Show a tenant's quota",
            tag="quotas",
            handler=quotas.show,
            policy="admin:quotas:show",
            answer=schemas.QuotaView,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id="admin_update_quota",
            method="PATCH",
            path=_QUOTA,
            summary="Change a tenant's limits",
            description="A limit below what is used takes nothing away; it keeps new things out.",
            tag="quotas",
            handler=quotas.update,
            policy="admin:quotas:update",
            body=schemas.QuotaUpdate,
            answer=schemas.QuotaView,
            errors=(errors.NotFound, errors.WrongState, errors.PreconditionFailed),
            conditional=True,
        ),
        operation.Operation(
            id="admin_list_usage",
            method="GET",
            path="/v1/admin/usage",
            summary="Show what every tenant uses",
            tag="usage",
            handler=quotas.usage,
            policy="admin:usage:list",
            query=base.ListQuery,
            answer=schemas.UsageList,
        ),
    ]
