"""``/v1/user``: who am I, and what may this token do?"""

from collections.abc import Sequence

from apisvc import errors
from apisvc.policies import users as policies
from apisvc.schemas import users as schemas
from apisvc.service import services
from apisvc.web import operation

RULES = policies.USER


class _Self:
    def __init__(self, service: services.Services) -> None:
        self._users = service.users

    def show(self, call: operation.Call) -> operation.Answer:
        caller = call.context.identity
        assert caller is not None
        found = self._users.get(call.context, caller.user_id)
        # No ETag: what the token allows is not the user's.
        return operation.Answer(schemas.self_view(found.value, found.revision, caller))


def operations(service: services.Services) -> Sequence[operation.Operation]:
    oneself = _Self(service)
    return [
        operation.Operation(
            id="own_show_user",
            method="GET",
            path="/v1/user",
            summary="Show yourself and what your token allows",
            tag="users",
            handler=oneself.show,
            policy="user:self:show",
            answer=schemas.SelfView,
            untagged=True,
            errors=(errors.NotFound,),
        ),
    ]
