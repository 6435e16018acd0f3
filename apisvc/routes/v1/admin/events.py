"""``/v1/admin/events``."""

from collections.abc import Sequence

from apisvc.policies import events as policies
from apisvc.routes.v1 import feeds
from apisvc.schemas import events as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


def operations(service: services.Services) -> Sequence[operation.Operation]:
    answers = feeds.Feeds(service)

    def show(call: operation.Call) -> operation.Answer:
        return answers.answer(call, service.events.of_all(call.query))

    return [
        operation.Operation(
            id="admin_list_events",
            method="GET",
            path="/v1/admin/events",
            summary="List or follow all events",
            description=f"{feeds.DESCRIPTION} A page has them tenant by tenant, a feed as they come.",
            tag="events",
            handler=show,
            policy="admin:events:list",
            query=schemas.EventQuery,
            answer=schemas.EventList,
            errors=feeds.ERRORS,
            streams=feeds.STREAMS,
        ),
    ]
