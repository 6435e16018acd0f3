"""``/v1/admin/nodes``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.policies import nodes as policies
from apisvc.schemas import nodes as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


class _Nodes:
    def __init__(self, service: services.Services) -> None:
        self._live = service.live

    def list(self, call: operation.Call) -> operation.Answer:
        asked: schemas.NodeQuery = call.query
        found = self._live.nodes(call.context, asked.backend)
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
            path="/v1/admin/nodes",
            summary="List the nodes of the backends",
            description="Asked of the backends at this moment. Those that cannot answer are in `unlisted`.",
            tag="nodes",
            handler=nodes.list,
            policy="admin:nodes:list",
            query=schemas.NodeQuery,
            answer=schemas.NodeList,
            errors=(errors.NotFound,),
        ),
    ]
