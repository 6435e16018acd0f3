"""``/v1/tenants/{tenant}/flavors``."""

from collections.abc import Sequence

from apisvc.policies import flavors as policies
from apisvc.routes.v1 import catalogue
from apisvc.schemas import flavors as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def operations(service: services.Services) -> Sequence[operation.Operation]:
    kind = catalogue.Kind(
        word="flavor",
        a_word="a flavor",
        entries=service.flavors,
        viewer=lambda call: schemas.view,
        view_type=schemas.FlavorView,
        list_type=schemas.FlavorList,
    )
    return catalogue.reading(kind, "/v1/tenants/{tenant}/flavors")
