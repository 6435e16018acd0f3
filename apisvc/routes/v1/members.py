"""Members, as administrators and as a tenant's own people meet them: the same but for the tenant's place."""

from collections.abc import Callable, Sequence

from apisvc import errors
from apisvc.schemas import base
from apisvc.schemas import members as schemas
from apisvc.service import members as rules
from apisvc.web import operation


class _Members:
    def __init__(self, service: rules.Members, tenant_of: Callable[[operation.Call], str]) -> None:
        self._members = service
        self._tenant_of = tenant_of

    def list(self, call: operation.Call) -> operation.Answer:
        found = self._members.of_tenant(call.context, self._tenant_of(call), call.page)
        shown = [schemas.view(item.member.value, item.user, item.member.revision) for item in found.items]
        return operation.Answer(schemas.MemberList(members=shown, next=call.next_url(found.marker)))

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._members.get(call.context, self._tenant_of(call), call.path["user"])
        return _answer(found, found.member.revision)

    def put(self, call: operation.Call) -> operation.Answer:
        tenant_id, user = self._tenant_of(call), call.path["user"]
        done = self._members.put(call.context, tenant_id, user, call.body.role)
        return _answer(done.result, done.revision, status=201 if done.result.new else 200)

    def update(self, call: operation.Call) -> operation.Answer:
        tenant_id, user = self._tenant_of(call), call.path["user"]
        done = self._members.update(call.context, tenant_id, user, call.body.role)
        return _answer(done.result, done.revision)

    def delete(self, call: operation.Call) -> operation.Answer:
        self._members.delete(call.context, self._tenant_of(call), call.path["user"])
        return operation.Answer()


def _answer(found: rules.Named, revision: int, status: int = 200) -> operation.Answer:
    shown = schemas.view(found.member.value, found.user, revision)
    return operation.Answer(shown, status=status, revision=revision)


def operations(
    service: rules.Members,
    tenant_of: Callable[[operation.Call], str],
    *,
    under: str,
    ids: str = "",
    policies: str = "",
) -> Sequence[operation.Operation]:
    """The operations below the path ``under``; ``ids`` and ``policies`` begin their ids and rule names."""
    members = _Members(service, tenant_of)
    every, one = f"{under}/members", f"{under}/members/{{user}}"
    return [
        operation.Operation(
            id=f"{ids}list_members",
            method="GET",
            path=every,
            summary="List a tenant's members",
            tag="members",
            handler=members.list,
            policy=f"{policies}members:list",
            query=base.ListQuery,
            answer=schemas.MemberList,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id=f"{ids}show_member",
            method="GET",
            path=one,
            summary="Show a member",
            tag="members",
            handler=members.show,
            policy=f"{policies}members:show",
            answer=schemas.MemberView,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id=f"{ids}put_member",
            method="PUT",
            path=one,
            summary="Make a user a member, or give a member another role",
            description="201 when the user was no member before. If-Match asks for a member that is there.",
            tag="members",
            handler=members.put,
            policy=f"{policies}members:update",
            body=schemas.MemberPut,
            answer=schemas.MemberView,
            errors=(errors.NotFound, errors.WrongState, errors.PreconditionFailed),
            other_answers={201: schemas.MemberView},
            conditional=True,
        ),
        operation.Operation(
            id=f"{ids}update_member",
            method="PATCH",
            path=one,
            summary="Give a member another role",
            tag="members",
            handler=members.update,
            policy=f"{policies}members:update",
            body=schemas.MemberPut,
            answer=schemas.MemberView,
            errors=(errors.NotFound, errors.PreconditionFailed),
            conditional=True,
        ),
        operation.Operation(
            id=f"{ids}delete_member",
            method="DELETE",
            path=one,
            summary="End a membership",
            tag="members",
            handler=members.delete,
            policy=f"{policies}members:delete",
            status=204,
            errors=(errors.NotFound, errors.PreconditionFailed),
            conditional=True,
        ),
    ]
