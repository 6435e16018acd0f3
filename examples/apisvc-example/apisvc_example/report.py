"""A route package: ``GET /v1/tenants/{tenant}/report``, a tenant's instances as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence

from oslo_policy import policy

from apisvc.model import instances as model
from apisvc.schemas import instances as schemas
from apisvc.service import listing
from apisvc.web import operation

COLUMNS = ("id", "name", "state", "backend", "image", "flavor", "vcpus", "ram_mb", "disk_gb")
RULE = "reports:show"


class Routes(operation.Routes):
    contract = "1.0"

    def operations(self) -> Sequence[operation.Operation]:
        return [
            operation.Operation(
                id="show_report",
                method="GET",
                path="/v1/tenants/{tenant}/report",
                summary="Download the tenant's instances as CSV",
                tag="reports",
                handler=self.report,
                policy=RULE,
                query=schemas.InstanceQuery,
                streams=("text/csv",),
            )
        ]

    @classmethod
    def policies(cls) -> Sequence[policy.DocumentedRuleDefault]:
        return [
            policy.DocumentedRuleDefault(
                RULE,
                "rule:reader_or_admin",
                "Download a tenant's instances as CSV.",
                [{"method": "GET", "path": "/v1/tenants/{tenant}/report"}],
            )
        ]

    def report(self, call: operation.Call) -> operation.Answer:
        # The first page is read before the answer begins, so that what is wrong is still a problem document.
        first = self._page(call, call.page)
        return operation.Answer(
            stream=self._lines(call, first),
            content_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="report.csv"'},
        )

    def _page(self, call: operation.Call, page: listing.Page) -> listing.Listed[model.Instance]:
        return self.services.instances.list(call.context, call.tenant_id, call.query, page)

    def _lines(self, call: operation.Call, page: listing.Listed[model.Instance]) -> Iterator[bytes]:
        yield _csv(COLUMNS)
        while True:
            for found in page.items:
                instance = found.value
                amounts = (instance.spec.vcpus, instance.spec.ram_mb, instance.spec.disk_gb)
                names = (instance.spec.backend, instance.spec.image, instance.spec.flavor)
                yield _csv((instance.id, instance.name, instance.status.state, *names, *amounts))
            if page.marker is None:
                return
            page = self._page(call, listing.Page(call.page.limit, page.marker))


def _csv(cells: Sequence[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
