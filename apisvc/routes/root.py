"""What the service says about itself: versions, health, metrics, documentation. No token needed."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from apisvc import __version__, errors
from apisvc.schemas import root as schemas
from apisvc.web import docs, metrics, openapi, operation, versions

if TYPE_CHECKING:
    from apisvc.service import services

_V1 = schemas.VersionView(
    id="v1",
    status="CURRENT",
    min_version=versions.VERSIONS[0],
    version=versions.VERSIONS[-1],
    links={"self": "/v1", "openapi": "/v1/openapi.json", "docs": "/docs"},
)


class Root:
    """The operations that are there whatever route packages are loaded."""

    def __init__(
        self,
        all_services: "services.Services",
        counted: metrics.Metrics,
        others: Sequence[operation.Operation],
        with_docs: bool,
    ) -> None:
        self._services = all_services
        self._metrics = counted
        self._others = others
        self._docs = with_docs
        # Made with the first request, when all packages have been checked.
        self._documents: dict[str, bytes] = {}

    def operations(self) -> Sequence[operation.Operation]:
        return [
            operation.Operation(
                id="list_versions",
                method="GET",
                path="/",
                summary="List the versions of the API",
                tag="service",
                handler=lambda call: operation.Answer(body=schemas.Versions(versions=[_V1])),
                policy=None,
                answer=schemas.Versions,
            ),
            operation.Operation(
                id="show_version",
                method="GET",
                path="/v1",
                summary="Show version 1 of the API",
                tag="service",
                handler=lambda call: operation.Answer(body=_V1),
                policy=None,
                answer=schemas.VersionView,
            ),
            operation.Operation(
                id="check_health",
                method="GET",
                path="/healthcheck",
                summary="Tell whether the process is alive",
                tag="service",
                handler=lambda call: operation.Answer(body=schemas.Health(status="ok")),
                policy=None,
                answer=schemas.Health,
                description="Asks nobody else. For a load balancer that asks whether to send requests, take "
                "`/readyz`.",
            ),
            operation.Operation(
                id="check_readiness",
                method="GET",
                path="/readyz",
                summary="Tell whether the service can do its work",
                tag="service",
                handler=self._ready,
                policy=None,
                answer=schemas.Readiness,
                errors=(errors.StoreUnavailable,),
                description="503 when the store cannot be read and written. Backends are shown as the workers "
                "last found them; they do not change the status, as the API accepts work for them anyway.",
            ),
            operation.Operation(
                id="show_metrics",
                method="GET",
                path="/metrics",
                summary="Show metrics in the format of Prometheus",
                tag="service",
                handler=self._show_metrics,
                policy=None,
                produces=metrics.CONTENT_TYPE,
            ),
            operation.Operation(
                id="show_openapi",
                method="GET",
                path="/v1/openapi.json",
                summary="Show this document",
                tag="service",
                handler=lambda call: self._document(),
                policy=None,
                produces="application/json",
            ),
            *(self._docs_operations() if self._docs else ()),
        ]

    def _docs_operations(self) -> Sequence[operation.Operation]:
        def page(op_id: str, path: str, summary: str, body: bytes, kind: str) -> operation.Operation:
            return operation.Operation(
                id=op_id,
                method="GET",
                path=path,
                summary=summary,
                tag="service",
                handler=lambda call: operation.Answer(body=body, content_type=kind, headers=docs.HEADERS),
                policy=None,
                produces=kind,
            )

        return [
            page("show_docs", "/docs", "Read and try the API in a browser", docs.UI, docs.HTML),
            page(
                "show_docs_script", "/docs/start.js", "Start the documentation page", docs.START, docs.SCRIPT
            ),
            page(
                "show_problems",
                "/docs/problems",
                "Read what the problem codes mean",
                docs.problem_page(),
                docs.HTML,
            ),
            operation.Operation(
                id="show_docs_openapi",
                method="GET",
                path="/docs/openapi.json",
                summary="Show this document as OpenAPI 3.0, for the documentation page",
                tag="service",
                handler=lambda call: self._document_3_0(),
                policy=None,
                produces="application/json",
            ),
            operation.Operation(
                id="show_docs_asset",
                method="GET",
                path="/docs/assets/{asset}",
                summary="Fetch a file of the documentation page",
                tag="service",
                handler=self._asset,
                policy=None,
                produces="application/octet-stream",
            ),
        ]

    def _ready(self, call: operation.Call) -> operation.Answer:
        self._services.store.ping(deadline=call.context.deadline)
        backends = [
            schemas.BackendReadiness(
                name=known.loaded.name,
                state=known.state.value,
                healthy=known.health.value.healthy if known.health else None,
            )
            for known in self._services.backends.list(call.context)
        ]
        return operation.Answer(body=schemas.Readiness(status="ok", store="ok", backends=backends))

    def _show_metrics(self, call: operation.Call) -> operation.Answer:
        return operation.Answer(body=self._metrics.exposition(), content_type=metrics.CONTENT_TYPE)

    def _document(self) -> operation.Answer:
        return self._cached("3.1", lambda made: made)

    def _document_3_0(self) -> operation.Answer:
        return self._cached("3.0", docs.as_3_0)

    def _cached(self, version: str, shape: Callable[[dict[str, Any]], Any]) -> operation.Answer:
        if version not in self._documents:
            operations = [*self.operations(), *self._others]
            made = openapi.document(operations, __version__)
            self._documents[version] = msgspec.json.encode(shape(made))
        body = self._documents[version]
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        return operation.Answer(
            body=body, content_type="application/json", headers={"ETag": tag, "Cache-Control": "no-cache"}
        )

    def _asset(self, call: operation.Call) -> operation.Answer:
        body, media_type = docs.asset(call.path["asset"])
        headers = {**docs.HEADERS, "Cache-Control": "public, max-age=86400"}
        return operation.Answer(body=body, content_type=media_type, headers=headers)
