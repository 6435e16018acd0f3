"""``/v1/tenants/{tenant}/backends/{backend}/credentials``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.model import tenants
from apisvc.policies import credentials as policies
from apisvc.schemas import credentials as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.TENANT

_ALL = "/v1/tenants/{tenant}/backends/{backend}/credentials"
_ERRORS = (errors.NotFound, errors.Unsupported, errors.BackendUnavailable)


class _Credentials:
    def __init__(self, service: services.Services) -> None:
        self._access = service.access

    def list(self, call: operation.Call) -> operation.Answer:
        found = self._access.issued(call.context, _tenant(call), call.path["backend"])
        return operation.Answer(schemas.CredentialList(credentials=[schemas.view(one) for one in found]))

    def show(self, call: operation.Call) -> operation.Answer:
        wanted = call.path["credential"]
        found = self._access.issued(call.context, _tenant(call), call.path["backend"])
        shown = next((one for one in found if one.id == wanted.lower()), None)
        if shown is None:
            raise errors.NotFound.of("credential", wanted)
        return operation.Answer(schemas.view(shown))

    def create(self, call: operation.Call) -> operation.Answer:
        asked: schemas.CredentialCreate = call.body
        made = self._access.issue(call.context, _tenant(call), call.path["backend"], call.role, asked.seconds)
        # APPSEC: Nobody on the way is to keep it, as we do not.
        return operation.Answer(
            schemas.made_view(made),
            location=f"{call.request.path}/{made.id}",
            headers={"Cache-Control": "no-store"},
        )

    def delete(self, call: operation.Call) -> operation.Answer:
        self._access.revoke(call.context, _tenant(call), call.path["backend"], call.path["credential"])
        return operation.Answer()


def _tenant(call: operation.Call) -> tenants.Tenant:
    assert call.tenant is not None
    return call.tenant.value


def operations(service: services.Services) -> Sequence[operation.Operation]:
    credentials = _Credentials(service)
    return [
        operation.Operation(
            id="list_credentials",
            method="GET",
            path=_ALL,
            summary="List the credentials of a backend that are good now",
            tag="credentials",
            handler=credentials.list,
            policy="credentials:list",
            answer=schemas.CredentialList,
            errors=_ERRORS,
        ),
        operation.Operation(
            id="create_credential",
            method="POST",
            path=_ALL,
            summary="Get a credential of a backend",
            description="A file by which the backend's own tools reach what the tenant has there, with the rights of "
            "your role, for a while. The answer is the only one that shows it, and it is kept nowhere: so there is "
            "no Idempotency-Key here; what was made twice is in the list, and can be revoked.",
            tag="credentials",
            handler=credentials.create,
            policy="credentials:create",
            body=schemas.CredentialCreate,
            answer=schemas.CredentialMade,
            status=201,
            errors=(*_ERRORS, errors.WrongState),
        ),
        operation.Operation(
            id="show_credential",
            method="GET",
            path=f"{_ALL}/{{credential}}",
            summary="Show a credential of a backend, without its content",
            tag="credentials",
            handler=credentials.show,
            policy="credentials:show",
            answer=schemas.CredentialView,
            errors=_ERRORS,
        ),
        operation.Operation(
            id="delete_credential",
            method="DELETE",
            path=f"{_ALL}/{{credential}}",
            summary="Revoke a credential of a backend",
            description="The backend refuses it from now on. Of one that has expired or is not there, too.",
            tag="credentials",
            handler=credentials.delete,
            policy="credentials:delete",
            status=204,
            errors=_ERRORS,
        ),
    ]
