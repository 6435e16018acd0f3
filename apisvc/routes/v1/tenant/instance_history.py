"""``/v1/tenants/{tenant}/instances/{instance}/logs`` and ``/events``: what it printed, what was done to it."""

from collections.abc import Sequence

from oslo_policy import policy

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.routes.v1 import feeds
from apisvc.schemas import events
from apisvc.schemas import instances as schemas
from apisvc.service import services
from apisvc.web import operation

#: Their rules are with the other ones of instances.
RULES: Sequence[policy.DocumentedRuleDefault] = ()

_ONE = "/v1/tenants/{tenant}/instances/{instance}"


class _History:
    def __init__(self, service: services.Services) -> None:
        self._instances = service.instances
        self._events = service.events
        self._live = service.live
        self._feeds = feeds.Feeds(service)

    def logs(self, call: operation.Call) -> operation.Answer:
        asked: schemas.LogQuery = call.query
        instance = self._instances.get(call.context, call.tenant_id, call.path["instance"]).value
        wanted = compute.LogRequest(
            tail=asked.tail,
            follow=asked.follow,
            since=asked.since.timestamp() if asked.since else None,
            previous=asked.previous,
        )
        return operation.Answer(
            stream=self._live.logs(call.context, instance, wanted),
            content_type="text/plain; charset=utf-8",
        )

    def events(self, call: operation.Call) -> operation.Answer:
        tenant_id, ref = call.tenant_id, call.path["instance"]
        instance = self._instances.get(call.context, tenant_id, ref).value
        return self._feeds.answer(call, self._events.of_instance(tenant_id, instance.id, call.query))


def operations(service: services.Services) -> Sequence[operation.Operation]:
    history = _History(service)
    return [
        operation.Operation(
            id="read_instance_logs",
            method="GET",
            path=f"{_ONE}/logs",
            summary="Read or follow what an instance printed",
            description="Comes straight from the backend. One that does not know when, or in which run, a line "
            "was printed refuses `since` and `previous` with 409 `apisvc.backend.unsupported`.",
            tag="instances",
            handler=history.logs,
            policy="instances:logs",
            query=schemas.LogQuery,
            errors=(
                errors.NotFound,
                errors.Unsupported,
                errors.TooManyRequests,
                errors.BackendUnavailable,
            ),
            streams=("text/plain",),
        ),
        operation.Operation(
            id="list_instance_events",
            method="GET",
            path=f"{_ONE}/events",
            summary="List or follow the events of an instance",
            description=f"{feeds.DESCRIPTION} Those of an instance that is gone are among the tenant's, by "
            "`target_id`.",
            tag="instances",
            handler=history.events,
            policy="instances:events",
            query=events.EventQuery,
            answer=events.EventList,
            errors=(errors.NotFound, *feeds.ERRORS),
            streams=feeds.STREAMS,
        ),
    ]
