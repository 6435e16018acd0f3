"""``/v1/admin/users``."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.model import users as model
from apisvc.policies import users as policies
from apisvc.schemas import users as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN

_ALL = "/v1/admin/users"
_ONE = "/v1/admin/users/{user}"


class _Users:
    def __init__(self, service: services.Services) -> None:
        self._users = service.users

    def list(self, call: operation.Call) -> operation.Answer:
        asked: schemas.UserQuery = call.query
        found = self._users.list(
            call.context, call.page, name=asked.name, enabled=asked.enabled, admin=asked.admin
        )
        shown = [schemas.view(item.value, item.revision) for item in found.items]
        return operation.Answer(schemas.UserList(users=shown, next=call.next_url(found.marker)))

    def create(self, call: operation.Call) -> operation.Answer:
        return call.answer(self._users.create(call.context, **call.body.asked()))

    @staticmethod
    def created(call: operation.Call, user: model.User, revision: int) -> operation.Answer:
        return operation.Answer(schemas.view(user, revision), location=f"{_ALL}/{user.id}")

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._users.get(call.context, call.path["user"])
        return operation.Answer(schemas.view(found.value, found.revision), revision=found.revision)

    def update(self, call: operation.Call) -> operation.Answer:
        done = self._users.update(call.context, call.path["user"], call.body.asked())
        return operation.Answer(schemas.view(done.result, done.revision), revision=done.revision)

    def delete(self, call: operation.Call) -> operation.Answer:
        self._users.delete(call.context, call.path["user"])
        return operation.Answer()


def operations(service: services.Services) -> Sequence[operation.Operation]:
    users = _Users(service)
    return [
        operation.Operation(
            id="admin_list_users",
            method="GET",
            path=_ALL,
            summary="List all users",
            tag="users",
            handler=users.list,
            policy="admin:users:list",
            query=schemas.UserQuery,
            answer=schemas.UserList,
        ),
        operation.Operation(
            id="admin_create_user",
            method="POST",
            path=_ALL,
            summary="Create a user",
            tag="users",
            handler=users.create,
            render=users.created,
            policy="admin:users:create",
            body=schemas.UserCreate,
            answer=schemas.UserView,
            status=201,
            errors=(errors.AlreadyExists,),
        ),
        operation.Operation(
            id="admin_show_user",
            method="GET",
            path=_ONE,
            summary="Show a user",
            tag="users",
            handler=users.show,
            policy="admin:users:show",
            answer=schemas.UserView,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id="admin_update_user",
            method="PATCH",
            path=_ONE,
            summary="Change, disable or enable a user; give or take the role admin",
            description="A disabled user's tokens are refused from the next request on.",
            tag="users",
            handler=users.update,
            policy="admin:users:update",
            body=schemas.UserUpdate,
            answer=schemas.UserView,
            errors=(errors.NotFound, errors.AlreadyExists, errors.Conflict, errors.PreconditionFailed),
            conditional=True,
        ),
        operation.Operation(
            id="admin_delete_user",
            method="DELETE",
            path=_ONE,
            summary="Delete a user with all memberships and tokens",
            tag="users",
            handler=users.delete,
            policy="admin:users:delete",
            status=204,
            errors=(errors.NotFound, errors.Conflict, errors.PreconditionFailed),
            conditional=True,
        ),
    ]
