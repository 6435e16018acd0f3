"""Tokens, as administrators and as their owners meet them: the same but for whose they are."""

from collections.abc import Callable, Sequence

from apisvc import errors
from apisvc.schemas import base
from apisvc.schemas import tokens as schemas
from apisvc.service import tokens as rules
from apisvc.web import operation


class _Tokens:
    def __init__(self, service: rules.Tokens, user_of: Callable[[operation.Call], str]) -> None:
        self._tokens = service
        self._user_of = user_of

    def list(self, call: operation.Call) -> operation.Answer:
        found = self._tokens.list(call.context, self._user_of(call), call.page)
        shown = [schemas.view(item.value, item.revision) for item in found.items]
        return operation.Answer(schemas.TokenList(tokens=shown, next=call.next_url(found.marker)))

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._tokens.get(call.context, self._user_of(call), call.path["token"])
        return operation.Answer(schemas.view(found.value, found.revision), revision=found.revision)

    def create(self, call: operation.Call) -> operation.Answer:
        grant = rules.Grant(**call.body.asked())
        return call.answer(self._tokens.create(call.context, self._user_of(call), grant))

    @staticmethod
    def created(call: operation.Call, made: rules.Made, revision: int) -> operation.Answer:
        shown = schemas.made_view(made.token, made.text, revision)
        return operation.Answer(shown, location=f"{call.request.path}/{made.token.id}")

    def delete(self, call: operation.Call) -> operation.Answer:
        self._tokens.delete(call.context, self._user_of(call), call.path["token"])
        return operation.Answer()


def operations(
    service: rules.Tokens,
    user_of: Callable[[operation.Call], str],
    *,
    under: str,
    ids: str,
    policies: str,
) -> Sequence[operation.Operation]:
    """The operations below the path ``under``; ``ids`` and ``policies`` begin their ids and rule names."""
    tokens = _Tokens(service, user_of)
    every, one = f"{under}/tokens", f"{under}/tokens/{{token}}"
    return [
        operation.Operation(
            id=f"{ids}list_tokens",
            method="GET",
            path=every,
            summary="List tokens",
            tag="tokens",
            handler=tokens.list,
            policy=f"{policies}tokens:list",
            query=base.ListQuery,
            answer=schemas.TokenList,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id=f"{ids}create_token",
            method="POST",
            path=every,
            summary="Create a token",
            description="The answer is the only one that shows the token itself. It never allows more than "
            "the token of this request: limits of that one are its limits too.",
            tag="tokens",
            handler=tokens.create,
            render=tokens.created,
            policy=f"{policies}tokens:create",
            body=schemas.TokenCreate,
            answer=schemas.TokenMade,
            status=201,
            errors=(errors.NotFound, errors.WrongState),
        ),
        operation.Operation(
            id=f"{ids}show_token",
            method="GET",
            path=one,
            summary="Show a token, without its text",
            tag="tokens",
            handler=tokens.show,
            policy=f"{policies}tokens:show",
            answer=schemas.TokenView,
            errors=(errors.NotFound,),
        ),
        operation.Operation(
            id=f"{ids}delete_token",
            method="DELETE",
            path=one,
            summary="Revoke a token",
            description="It is refused from the next request on. A token cannot revoke one that may do more.",
            tag="tokens",
            handler=tokens.delete,
            policy=f"{policies}tokens:delete",
            status=204,
            errors=(errors.NotFound,),
        ),
    ]
