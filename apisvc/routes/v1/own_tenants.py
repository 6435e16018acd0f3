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
        found = service.of_user(call.context, caller.user_id, call.page, only=caller.scope_tenant_id)
        shown = [
            schemas.own_view(
                item.tenant.value, item.tenant.revision, item.member.value.role.capped(caller.scope_role)
            )
            for item in found.items
            if item.tenant is not None
        ]
        return operation.Answer(schemas.OwnTenantList(tenants=shown, next=call.next_url(found.marker)))

    return handler
