"""``/v1/admin/workers``."""

from collections.abc import Sequence

from apisvc.policies import workers as policies
from apisvc.schemas import workers as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def show(call: operation.Call) -> operation.Answer:
        shown = [schemas.view(found) for found in service.workers.list(call.context)]
        return operation.Answer(schemas.WorkerList(workers=shown))

    return [
        operation.Operation(
            id="admin_list_workers",
            method="GET",
            path="/v1/admin/workers",
            summary="List the live workers",
            tag="workers",
            handler=show,
            policy="admin:workers:list",
            answer=schemas.WorkerList,
        ),
    ]
