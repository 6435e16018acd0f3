"""Query strings into typed Structs."""

import re
import types
import typing
import urllib.parse
from typing import Any

import msgspec

from apisvc import errors
from apisvc.model import codec
from apisvc.web import pointers

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Reader:
    """Reads the query string of one operation. ``kind``: its query Struct, or None: it takes no parameters."""

    def __init__(self, kind: type | None) -> None:
        self._kind = kind
        fields = msgspec.structs.fields(kind) if kind is not None else ()
        self._fields = {field.encode_name: field.name for field in fields}
        #: Name -> may it be repeated?
        self._repeatable = {field.encode_name: _is_sequence(field.type) for field in fields}

    def read(self, query_string: str) -> Any:
        """An instance of ``kind`` (None without one).

        :raises InvalidRequest: a parameter is unknown, given twice, or wrong;
            the pointer is ``query:<name>``.
        """
        if not query_string and self._kind is None:
            return None
        values: dict[str, Any] = {}
        for name, value in _pairs(query_string):
            repeatable = self._repeatable.get(name)
            if repeatable is None:
                raise _invalid(name, f"Parameter '{name}' is not known{self._known()}.")
            if repeatable:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise _invalid(name, f"Parameter '{name}' is there twice.")
            else:
                values[name] = value
        return self._convert(values)

    def _convert(self, values: dict[str, Any]) -> Any:
        kind = self._kind
        if kind is None:
            return None

        def convert(candidate: Any) -> object:
            return codec.convert(candidate, kind, strict=False)

        try:
            made = convert(values)
        except msgspec.ValidationError as error:
            where = pointers.explain(error, values, kind, convert)
            name = where.pointer.split("/")[1]
            detail = where.detail.replace("Field", "Parameter").replace(" or null", "")
            raise _invalid(name, detail) from None
        for name in values:
            # msgspec takes the text "null" for null; but what is not wanted is left out.
            if getattr(made, self._fields[name]) is None:
                raise _invalid(name, f"'{values[name]}' is not a value; leave the parameter out.")
        return made

    def _known(self) -> str:
        names = ", ".join(sorted(self._repeatable))
        return f"; known are {names}" if names else "; there are none here"


def _pairs(query_string: str) -> list[tuple[str, str]]:
    """The decoded parameters, in order."""
    pairs = []
    for part in query_string.split("&"):
        if part:
            name, _, value = part.partition("=")
            shown = _shown(name)
            pairs.append((_text(name, shown), _text(value, shown)))
    return pairs


def _text(quoted: str, name: str) -> str:
    if _BAD_ESCAPE.search(quoted):
        raise _invalid(name, "'%' must be followed by two hexadecimal digits.")
    # WSGI hands over bytes as Latin-1.
    raw = urllib.parse.unquote_to_bytes(quoted.replace("+", " ").encode("latin-1", "replace"))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid(name, "The parameter is not UTF-8.") from None
    if _CONTROL.search(text):
        raise _invalid(name, "The parameter has a control character.")
    return text


def _shown(quoted: str) -> str:
    return urllib.parse.unquote(quoted.encode("ascii", "replace").decode(), errors="replace")


def _is_sequence(declared: Any) -> bool:
    origin = typing.get_origin(declared)
    if origin is typing.Annotated:
        return _is_sequence(typing.get_args(declared)[0])
    if origin in (typing.Union, types.UnionType):
        return any(_is_sequence(one) for one in typing.get_args(declared))
    return (origin or declared) in (tuple, list, set, frozenset)


def _invalid(name: str, detail: str) -> errors.InvalidRequest:
    where = f"query:{name}"
    return errors.InvalidRequest(detail, errors=(errors.FieldError(where, detail),))
