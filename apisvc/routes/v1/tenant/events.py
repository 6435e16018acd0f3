"""``/v1/tenants/{tenant}/events``."""

from collections.abc import Sequence

from apisvc.policies import events as policies
from apisvc.routes.v1 import feeds
from apisvc.schemas import events as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def operations(service: services.Services) -> Sequence[operation.Operation]:
    answers = feeds.Feeds(service)

    def show(call: operation.Call) -> operation.Answer:
        return answers.answer(call, service.events.of_tenant(call.tenant_id, call.query))

    return [
        operation.Operation(
            id="list_events",
            method="GET",
            path="/v1/tenants/{tenant}/events",
            summary="List or follow the events of a tenant",
            description=feeds.DESCRIPTION,
            tag="events",
            handler=show,
            policy="events:list",
            query=schemas.EventQuery,
            answer=schemas.EventList,
            errors=feeds.ERRORS,
            streams=feeds.STREAMS,
        ),
    ]
