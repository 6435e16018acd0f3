"""``/v1/admin/users/{user}/tokens``."""

from collections.abc import Sequence

from apisvc.policies import tokens as policies
from apisvc.routes.v1 import tokens
from apisvc.service import services
from apisvc.web import operation

RULES = policies.ADMIN


def operations(service: services.Services) -> Sequence[operation.Operation]:
    def user_of(call: operation.Call) -> str:
        return service.users.get(call.context, call.path["user"]).value.id

    return tokens.operations(
        service.tokens, user_of, under="/v1/admin/users/{user}", policies="admin:", ids="admin_"
    )
