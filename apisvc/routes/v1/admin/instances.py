"""``/v1/admin/instances``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.policies import instances as policies
from apisvc.schemas import instance_views as views
from apisvc.schemas import instances as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def show(call: operation.Call) -> operation.Answer:
        asked: schemas.AllInstancesQuery = call.query
        tenant_id = None
        if asked.tenant is not None:
            tenant_id = service.tenants.get(call.context, asked.tenant).value.id
        found = service.instances.list_all(call.context, asked, call.page, tenant_id=tenant_id)
        shown = list(service.instances.views(call.context, found.items))
        return operation.Answer(views.InstanceList(instances=shown, next=call.next_url(found.marker)))

    return [
        operation.Operation(
            id="admin_list_instances",
            method="GET",
            path="/v1/admin/instances",
            summary="List the instances of all tenants",
            tag="instances",
            handler=show,
            policy="admin:instances:list",
            query=schemas.AllInstancesQuery,
            answer=views.InstanceList,
            errors=(errors.NotFound,),
        ),
    ]
