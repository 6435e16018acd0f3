"""``/v1/user/events``."""

from collections.abc import Sequence

from apisvc.policies import events as policies
from apisvc.routes.v1 import feeds
from apisvc.schemas import events as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.USER


def operations(service: services.Services) -> Sequence[operation.Operation]:
    answers = feeds.Feeds(service)

    def show(call: operation.Call) -> operation.Answer:
        return answers.answer(call, service.events.of_caller(call.context, call.query))

    return [
        operation.Operation(
            id="list_own_events",
            method="GET",
            path="/v1/user/events",
            summary="List or follow one's own events",
            description=f"What the caller did, and what was done to it. {feeds.DESCRIPTION}",
            tag="events",
            handler=show,
            policy="user:events:list",
            query=schemas.EventQuery,
            answer=schemas.EventList,
            errors=feeds.ERRORS,
            streams=feeds.STREAMS,
        ),
    ]
