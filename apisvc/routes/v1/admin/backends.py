"""``/v1/admin/backends``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.policies import backends as policies
from apisvc.schemas import backends as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_ALL = "/v1/admin/backends"
_ONE = "/v1/admin/backends/{backend}"


class _Backends:
    def __init__(self, service: services.Services) -> None:
        self._backends = service.backends

    def list(self, call: operation.Call) -> operation.Answer:
        shown = [known.view() for known in self._backends.list_counted(call.context)]
        return operation.Answer(schemas.BackendList(backends=shown))

    def show(self, call: operation.Call) -> operation.Answer:
        view = self._backends.get(call.context, call.path["backend"]).view()
        return operation.Answer(view, revision=view.revision)

    def update(self, call: operation.Call) -> operation.Answer:
        done = self._backends.update(call.context, call.path["backend"], call.body)
        return operation.Answer(done.result.view(), revision=done.revision)


def operations(service: services.Services) -> Sequence[operation.Operation]:
    backends = _Backends(service)
    return [
        operation.Operation(
            id="admin_list_backends",
            method="GET",
            path=_ALL,
            summary="List backends with their health",
            tag="backends",
            handler=backends.list,
            policy="admin:backends:list",
            answer=schemas.BackendList,
        ),
        operation.Operation(
            id="admin_show_backend",
            method="GET",
            path=_ONE,
            summary="Show a backend with its health",
            tag="backends",
            handler=backends.show,
            policy="admin:backends:show",
            answer=schemas.BackendView,
            errors=(errors.NotFound,),
            untagged=True,
        ),
        operation.Operation(
            id="admin_update_backend",
            method="PATCH",
            path=_ONE,
            summary="Say what may happen on a backend",
            description="Its state; its weight beside the others, in the choice of a backend; and the tenants that "
            "may use it. Tenants that may no longer keep what they have there.",
            tag="backends",
            handler=backends.update,
            policy="admin:backends:update",
            body=schemas.BackendUpdate,
            answer=schemas.BackendView,
            errors=(errors.NotFound, errors.PreconditionFailed),
            conditional=True,
        ),
    ]
