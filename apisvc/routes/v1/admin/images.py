"""``/v1/admin/images``."""

from collections.abc import Sequence

from apisvc.policies import images as policies
from apisvc.routes.v1 import catalogue
from apisvc.schemas import images as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_PLACE = "/v1/admin/images"


def operations(service: services.Services) -> Sequence[operation.Operation]:
    kind = catalogue.Kind(
        word="image",
        a_word="an image",
        entries=service.images,
        viewer=lambda call: schemas.view,
        view_type=schemas.ImageView,
        list_type=schemas.ImageList,
        create_type=schemas.ImageCreate,
        update_type=schemas.ImageUpdate,
    )
    return [
        *catalogue.reading(kind, _PLACE, prefix="admin"),
        *catalogue.writing(kind, _PLACE, prefix="admin"),
    ]
