"""``/v1/admin/nodes``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.policies import nodes as policies
from apisvc.schemas import nodes as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_ALL = "/v1/admin/nodes"
_ONE = "/v1/admin/nodes/{backend}/{node}"
#: What asking one backend may meet.
_ERRORS = (errors.NotFound, errors.Unsupported, errors.BackendUnavailable)


class _Nodes:
    def __init__(self, service: services.Services) -> None:
        self._nodes = service.nodes

    def list(self, call: operation.Call) -> operation.Answer:
        asked: schemas.NodeQuery = call.query
        found = self._nodes.list(call.context, asked.backend)
        return operation.Answer(
            schemas.NodeList(
                nodes=[_view(answer.backend, node) for answer in found for node in answer.nodes],
                unlisted=[
                    schemas.UnlistedView(
                        backend=answer.backend, code=answer.error.code, detail=answer.error.detail
                    )
                    for answer in found
                    if answer.error is not None
                ],
            )
        )

    def show(self, call: operation.Call) -> operation.Answer:
        backend, name = call.path["backend"], call.path["node"]
        return operation.Answer(_view(backend, self._nodes.get(call.context, backend, name)))

    def act(self, call: operation.Call) -> operation.Answer:
        asked: schemas.NodeAction = call.body
        schedulable = asked.action is schemas.NodeVerb.UNCORDON
        backend, name = call.path["backend"], call.path["node"]
        return call.answer(self._nodes.set_schedulable(call.context, backend, name, schedulable))

    def acted(self, call: operation.Call, node: compute.Node, revision: int) -> operation.Answer:
        return operation.Answer(_view(call.path["backend"], node))


def _view(backend: str, node: compute.Node) -> schemas.NodeView:
    return schemas.NodeView(
        id=f"{backend}/{node.name}",
        backend=backend,
        name=node.name,
        ready=node.ready,
        schedulable=node.schedulable,
        vcpus=node.vcpus,
        ram_mb=node.ram_mb,
        disk_gb=node.disk_gb,
        vcpus_used=node.vcpus_used,
        ram_mb_used=node.ram_mb_used,
        disk_gb_used=node.disk_gb_used,
        detail=dict(node.detail),
    )


def operations(service: services.Services) -> Sequence[operation.Operation]:
    nodes = _Nodes(service)
    return [
        operation.Operation(
            id="admin_list_nodes",
            method="GET",
            path=_ALL,
            summary="List the nodes of the backends",
            description="Asked of the backends at this moment. Those that cannot answer are in `unlisted`.",
            tag="nodes",
            handler=nodes.list,
            policy="admin:nodes:list",
            query=schemas.NodeQuery,
            answer=schemas.NodeList,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id="admin_show_node",
            method="GET",
            path=_ONE,
            summary="Show a node",
            description="Asked of its backend at this moment.",
            tag="nodes",
            handler=nodes.show,
            policy="admin:nodes:show",
            answer=schemas.NodeView,
            errors=_ERRORS,
        ),
        operation.Operation(
            id="admin_act_on_node",
            method="POST",
            path=f"{_ONE}/actions",
            summary="Cordon or uncordon a node",
            description="Its backend no longer puts new instances there, or does again. Needs the capability "
            "`cordon`. What is so already stays so. The choice of a backend knows of it from the next look on.",
            tag="nodes",
            handler=nodes.act,
            render=nodes.acted,
            policy="admin:nodes:act",
            body=schemas.NodeAction,
            answer=schemas.NodeView,
            untagged=True,
            errors=_ERRORS,
        ),
    ]
