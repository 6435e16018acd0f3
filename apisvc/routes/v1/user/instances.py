"""``/v1/user/instances``."""

from collections.abc import Sequence

from apisvc.policies import instances as policies
from apisvc.schemas import instance_views as views
from apisvc.schemas import instances as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.USER


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def show(call: operation.Call) -> operation.Answer:
        found = service.instances.list_own(call.context, call.query, call.page)
        shown = list(service.instances.views(call.context, found.items))
        return operation.Answer(views.InstanceList(instances=shown, next=call.next_url(found.marker)))

    return [
        operation.Operation(
            id="list_own_instances",
            method="GET",
            path="/v1/user/instances",
            summary="List the instances that the caller made",
            description="In all tenants that the caller is a member of.",
            tag="instances",
            handler=show,
            policy="user:instances:list",
            query=schemas.InstanceQuery,
            answer=views.InstanceList,
        ),
    ]
