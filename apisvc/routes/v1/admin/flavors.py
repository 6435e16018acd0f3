"""``/v1/admin/flavors``."""

from collections.abc import Sequence

from apisvc.policies import flavors as policies
from apisvc.routes.v1 import catalogue
from apisvc.schemas import flavors as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_PLACE = "/v1/admin/flavors"


def operations(service: services.Services) -> Sequence[operation.Operation]:
    kind = catalogue.Kind(
        word="flavor",
        a_word="a flavor",
        entries=service.flavors,
        viewer=lambda call: schemas.view,
        view_type=schemas.FlavorView,
        list_type=schemas.FlavorList,
        create_type=schemas.FlavorCreate,
        update_type=schemas.FlavorUpdate,
    )
    return [
        *catalogue.reading(kind, _PLACE, prefix="admin"),
        *catalogue.writing(kind, _PLACE, prefix="admin"),
    ]
