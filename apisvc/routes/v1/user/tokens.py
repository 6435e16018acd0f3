"""``/v1/user/tokens``."""

from collections.abc import Sequence

from apisvc.policies import tokens as policies
from apisvc.routes.v1 import tokens
from apisvc.service import services
from apisvc.web import operation

RULES = policies.USER


def _user_of(call: operation.Call) -> str:
    caller = call.context.identity
    assert caller is not None
    return caller.user_id


def operations(service: services.Services) -> Sequence[operation.Operation]:
    return tokens.operations(service.tokens, _user_of, under="/v1/user", policies="user:", ids="own_")
