"""``/v1/admin/tenants``."""

import dataclasses
import uuid
from collections.abc import Sequence

import msgspec

from apisvc import errors
from apisvc.model import tenants as model
from apisvc.policies import tenants as policies
from apisvc.schemas import tenants as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_ALL = "/v1/admin/tenants"
_ONE = "/v1/admin/tenants/{tenant}"


class _Tenants:
    def __init__(self, service: services.Services) -> None:
        self._tenants = service.tenants

    def list(self, call: operation.Call) -> operation.Answer:
        asked: schemas.TenantQuery = call.query
        found = self._tenants.list(
            call.context, call.page, name=asked.name, state=asked.state, labels=asked.label
        )
        shown = [schemas.view(item.value, item.revision) for item in found.items]
        return operation.Answer(schemas.TenantList(tenants=shown, next=call.next_url(found.marker)))

    def create(self, call: operation.Call) -> operation.Answer:
        asked: schemas.TenantCreate = call.body
        return call.answer(
            self._tenants.create(
                call.context,
                name=asked.name,
                tenant_id=None if asked.id is msgspec.UNSET else str(uuid.UUID(asked.id)),
                description=asked.description,
                labels=asked.labels,
                quota=asked.quota.asked(),
            )
        )

    @staticmethod
    def created(call: operation.Call, tenant: model.Tenant, revision: int) -> operation.Answer:
        return operation.Answer(schemas.view(tenant, revision), location=f"{_ALL}/{tenant.id}")

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._tenants.get(call.context, call.path["tenant"])
        return _answer(found.value, found.revision)

    def update(self, call: operation.Call) -> operation.Answer:
        fields = call.body.asked()
        if "state" in fields:
            fields["state"] = model.TenantState(fields["state"])
        done = self._tenants.update(call.context, call.path["tenant"], fields)
        return _answer(done.result, done.revision)

    def delete(self, call: operation.Call) -> operation.Answer:
        done = self._tenants.delete(call.context, call.path["tenant"])
        location = f"{_ALL}/{done.result.id}"
        return dataclasses.replace(_answer(done.result, done.revision), location=location)


def _answer(tenant: model.Tenant, revision: int) -> operation.Answer:
    return operation.Answer(schemas.view(tenant, revision), revision=revision)


def operations(service: services.Services) -> Sequence[operation.Operation]:
    tenants = _Tenants(service)
    return [
        operation.Operation(
            id="admin_list_tenants",
            method="GET",
            path=_ALL,
            summary="List all tenants",
            tag="tenants",
            handler=tenants.list,
            policy="admin:tenants:list",
            query=schemas.TenantQuery,
            answer=schemas.TenantList,
        ),
        operation.Operation(
            id="admin_create_tenant",
            method="POST",
            path=_ALL,
            summary="Create a tenant",
            tag="tenants",
            handler=tenants.create,
            render=tenants.created,
            policy="admin:tenants:create",
            body=schemas.TenantCreate,
            answer=schemas.TenantView,
            status=201,
            errors=(errors.AlreadyExists,),
        ),
        operation.Operation(
            id="admin_show_tenant",
            method="GET",
            path=_ONE,
            summary="Show a tenant",
            tag="tenants",
            handler=tenants.show,
            policy="admin:tenants:show",
            answer=schemas.TenantView,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id="admin_update_tenant",
            method="PATCH",
            path=_ONE,
            summary="Change, disable or enable a tenant",
            description="In a disabled tenant reads and deletes go on, and nothing new can be made.",
            tag="tenants",
            handler=tenants.update,
            policy="admin:tenants:update",
            body=schemas.TenantUpdate,
            answer=schemas.TenantView,
            errors=(errors.NotFound, errors.AlreadyExists, errors.WrongState, errors.PreconditionFailed),
            conditional=True,
        ),
        operation.Operation(
            id="admin_delete_tenant",
            method="DELETE",
            path=_ONE,
            summary="Remove a tenant with all it has",
            description="Nothing new can be made in it from now on. Its instances are deleted, then its "
            "members, the tokens limited to it and the tenant itself; until then its state is `removing`.",
            tag="tenants",
            handler=tenants.delete,
            policy="admin:tenants:delete",
            answer=schemas.TenantView,
            status=202,
            errors=(errors.NotFound, errors.PreconditionFailed),
            conditional=True,
        ),
    ]
