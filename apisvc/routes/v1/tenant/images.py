"""``/v1/tenants/{tenant}/images``."""

from collections.abc import Sequence

from apisvc.model import catalogue as model
from apisvc.model import codec
from apisvc.policies import images as policies
from apisvc.routes.v1 import catalogue
from apisvc.schemas import images as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def view(found: codec.Versioned[model.Image]) -> schemas.TenantImageView:
        return schemas.tenant_view(found, service.backends.usable(found.value))

    kind = catalogue.Kind(
        word="image",
        a_word="an image",
        entries=service.images,
        view=view,
        view_type=schemas.TenantImageView,
        list_type=schemas.TenantImageList,
    )
    return catalogue.reading(kind, "/v1/tenants/{tenant}/images")
