"""What the operations of flavors and of images have in common."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from apisvc import errors
from apisvc.model import codec
from apisvc.schemas import base as schemas
from apisvc.service import catalogue
from apisvc.web import operation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of catalogue entry, seen by somebody."""

    #: ``image``; and with its article.
    word: str
    a_word: str
    entries: catalogue.Catalogue[Any]
    #: For one request: how each entry is shown.
    viewer: Callable[[operation.Call], Callable[[codec.Versioned[Any]], msgspec.Struct]]
    view_type: type[msgspec.Struct]
    list_type: type[msgspec.Struct]
    #: Only for those who may write.
    create_type: type[msgspec.Struct] | None = None
    update_type: type[msgspec.Struct] | None = None
    #: As :attr:`apisvc.web.operation.Operation.untagged`, of one that is shown.
    untagged: bool = False

    @property
    def words(self) -> str:
        return f"{self.word}s"


class Entries:
    """The handlers of one kind."""

    def __init__(self, kind: Kind, place: str) -> None:
        self._kind = kind
        self._entries = kind.entries
        self._place = place

    def list(self, call: operation.Call) -> operation.Answer:
        found = self._entries.list(call.context, call.page, name=call.query.name)
        shown = list(map(self._kind.viewer(call), found.items))
        return operation.Answer(
            self._kind.list_type(**{self._kind.words: shown, "next": call.next_url(found.marker)})
        )

    def show(self, call: operation.Call) -> operation.Answer:
        found = self._entries.get(call.context, call.path[self._kind.word])
        return operation.Answer(self._kind.viewer(call)(found), revision=found.revision)

    def create(self, call: operation.Call) -> operation.Answer:
        return call.answer(self._entries.create(call.context, call.body))

    def created(self, call: operation.Call, entry: Any, revision: int) -> operation.Answer:
        view = self._kind.viewer(call)(codec.Versioned(entry, revision))
        return operation.Answer(view, location=f"{self._place}/{entry.id}")

    def update(self, call: operation.Call) -> operation.Answer:
        done = self._entries.update(call.context, call.path[self._kind.word], call.body)
        return operation.Answer(
            self._kind.viewer(call)(codec.Versioned(done.result, done.revision)), revision=done.revision
        )

    def delete(self, call: operation.Call) -> operation.Answer:
        self._entries.delete(call.context, call.path[self._kind.word])
        return operation.Answer()


def reading(kind: Kind, place: str, *, prefix: str = "") -> Sequence[operation.Operation]:
    """List and show. ``prefix``: of operation ids and rules, ``admin``."""
    entries = Entries(kind, place)
    return [
        operation.Operation(
            id=_id(prefix, f"list_{kind.words}"),
            method="GET",
            path=place,
            summary=f"List {kind.words}",
            tag=kind.words,
            handler=entries.list,
            policy=_rule(prefix, kind, "list"),
            query=schemas.NamedQuery,
            answer=kind.list_type,
        ),
        operation.Operation(
            id=_id(prefix, f"show_{kind.word}"),
            method="GET",
            path=f"{place}/{{{kind.word}}}",
            summary=f"Show {kind.a_word}",
            tag=kind.words,
            handler=entries.show,
            policy=_rule(prefix, kind, "show"),
            untagged=kind.untagged,
            answer=kind.view_type,
            errors=(errors.NotFound,),
        ),
    ]


def writing(kind: Kind, place: str, *, prefix: str) -> Sequence[operation.Operation]:
    """Create, change and remove."""
    entries = Entries(kind, place)
    return [
        operation.Operation(
            id=_id(prefix, f"create_{kind.word}"),
            method="POST",
            path=place,
            summary=f"Create {kind.a_word}",
            tag=kind.words,
            handler=entries.create,
            render=entries.created,
            policy=_rule(prefix, kind, "create"),
            body=kind.create_type,
            answer=kind.view_type,
            status=201,
            errors=(errors.AlreadyExists,),
        ),
        operation.Operation(
            id=_id(prefix, f"update_{kind.word}"),
            method="PATCH",
            path=f"{place}/{{{kind.word}}}",
            summary=f"Change {kind.a_word}",
            description="Instances keep what they were made with.",
            tag=kind.words,
            handler=entries.update,
            policy=_rule(prefix, kind, "update"),
            body=kind.update_type,
            answer=kind.view_type,
            errors=(errors.NotFound, errors.AlreadyExists, errors.PreconditionFailed),
            conditional=True,
        ),
        operation.Operation(
            id=_id(prefix, f"delete_{kind.word}"),
            method="DELETE",
            path=f"{place}/{{{kind.word}}}",
            summary=f"Remove {kind.a_word}",
            description="Instances keep what they were made with.",
            tag=kind.words,
            handler=entries.delete,
            policy=_rule(prefix, kind, "delete"),
            status=204,
            errors=(errors.NotFound, errors.PreconditionFailed),
            conditional=True,
        ),
    ]


def _id(prefix: str, rest: str) -> str:
    return f"{prefix}_{rest}" if prefix else rest


def _rule(prefix: str, kind: Kind, verb: str) -> str:
    return f"{prefix}:{kind.words}:{verb}" if prefix else f"{kind.words}:{verb}"
