"""``/v1/tenants/{tenant}/images``."""

from collections.abc import Callable, Sequence

from apisvc.model import catalogue as model
from apisvc.model import codec
from apisvc.policies import images as policies
from apisvc.routes.v1 import catalogue
from apisvc.schemas import images as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def viewer(call: operation.Call) -> Callable[[codec.Versioned[model.Image]], schemas.TenantImageView]:
        usable = service.backends.usable(call.context, call.tenant_id)
        return lambda found: schemas.tenant_view(found, usable(found.value))

    kind = catalogue.Kind(
        word="image",
        a_word="an image",
        entries=service.images,
        viewer=viewer,
        view_type=schemas.TenantImageView,
        list_type=schemas.TenantImageList,
        untagged=True,  # the operator says which backends the tenant may use
    )
    return catalogue.reading(kind, "/v1/tenants/{tenant}/images")
