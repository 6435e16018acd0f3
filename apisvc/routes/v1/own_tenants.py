"""The list of the caller's own tenants, which two places show."""

from collections.abc import Callable

from apisvc.schemas import tenants as schemas
from apisvc.service import members
from apisvc.web import operation


def lister(service: members.Members) -> Callable[[operation.Call], operation.Answer]:
    """A handler that lists the tenants of the caller, as far as its token goes."""

    def handler(call: operation.Call) -> operation.Answer:
        caller = call.context.identity
        assert caller is not None
        found = service.own(call.context, caller, call.page)
        shown = [
            schemas.own_view(tenant, item.revision, role)
            for item in found.items
            for tenant, role in [item.value]
        ]
        return operation.Answer(schemas.OwnTenantList(tenants=shown, next=call.next_url(found.marker)))

    return handler
