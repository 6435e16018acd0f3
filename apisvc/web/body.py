"""Request bodies: strict JSON into a typed Struct, or a 400 that says where and why.

Refused beyond what a lenient parser takes: duplicate fields, NaN and Infinity,
numbers out of range, NUL and lone surrogates in any string, nesting deeper
than :data:`MAX_DEPTH`.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import falcon
import msgspec

from apisvc import errors
from apisvc.model import codec
from apisvc.web import pointers

MAX_DEPTH = 64
_MAX_INT = 2**63 - 1
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
# What only a close look can clear: an escaped NUL or surrogate.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def read(req: falcon.Request, limit: int) -> bytes:
    """The raw body, of at most ``limit`` bytes.

    :raises BodyTooLarge: by its Content-Length or, when that is not given, as
        soon as more than ``limit`` bytes have come.
    :raises InvalidRequest: it ended before its Content-Length.
    """
    declared = req.content_length
    if declared is None and not req.env.get("wsgi.input_terminated"):
        return b""
    if declared is not None and declared > limit:
        raise _too_large(f"The body has {declared} bytes; at most {limit} are read.")
    wanted = limit + 1 if declared is None else declared
    raw = b""
    try:
        while len(raw) < wanted and (chunk := req.stream.read(wanted - len(raw))):
            raw += chunk
    except Exception as error:
        # Each server has its own errors for broken chunks and lost connections; none is ours.
        raise errors.InvalidRequest(f"The body could not be read: {error}.") from error
    if declared is not None and len(raw) < declared:
        raise errors.InvalidRequest(f"The body ended after {len(raw)} of {declared} bytes.")
    if len(raw) > limit:
        raise _too_large(f"The body has more than {limit} bytes.")
    return raw


def check_media_type(req: falcon.Request) -> None:
    """:raises UnsupportedMediaType: the body is declared as something other than JSON in UTF-8."""
    if req.env.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise _unsupported("Content-Encoding", "Send the body without Content-Encoding.")
    declared = req.content_type
    if declared is None or declared == "application/json":
        return
    media_type, _, parameters = declared.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise _unsupported("Content-Type", f"The body is {declared!r}; send it as application/json in UTF-8.")


def decode(raw: bytes, kind: type) -> Any:
    """``raw`` as an instance of ``kind``; every InvalidRequest has a pointer."""
    value = parse(raw)

    def convert(candidate: Any) -> Any:
        return codec.convert(candidate, kind)

    try:
        return convert(value)
    except msgspec.ValidationError as error:
        where = pointers.explain(error, value, kind, convert)
        raise _invalid(where.pointer, where.detail) from None


def require_empty(raw: bytes) -> None:
    """For operations without a body: nothing, or ``{}`` because some clients cannot send nothing."""
    if raw.strip() not in (b"", b"{}"):
        raise _invalid("", "This operation takes no body.")


def parse(raw: bytes) -> Any:
    """``raw`` as plain JSON values."""
    if not raw.strip():
        raise _invalid("", "A JSON body is required.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("", f"The body is not UTF-8: byte {error.start} cannot stand there.") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        raise _invalid("", f"The body is nested more than {MAX_DEPTH} levels deep.")
    reading = _Reading()
    try:
        value = json.loads(
            text,
            object_pairs_hook=reading.object,
            parse_int=reading.integer,
            parse_float=reading.number,
            parse_constant=reading.constant,
        )
    except ValueError as error:
        raise _invalid("", f"The body is not JSON: {error}.") from None
    if reading.flaws or _SUSPECT.search(raw):
        for pointer, detail in _flaws(value, "", reading):
            raise _invalid(pointer, detail)
    return value


class _Bad:
    """Stands where a value cannot be represented."""

    def __init__(self, detail: str) -> None:
        self.detail = detail


class _Reading:
    """Hooks of the parser, which notes what it would otherwise pass over.

    The parser does not know where it is; so flaws are marked in the value and
    found again by walking through it.
    """

    def __init__(self) -> None:
        self.flaws = False
        #: Objects with a duplicate field, by identity.
        self.duplicates: dict[int, tuple[dict[str, Any], str]] = {}

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for n, name in enumerate(names) if name in names[:n])
            self.duplicates[id(made)] = (made, twice)
            self.flaws = True
        return made

    def integer(self, text: str) -> Any:
        if len(text) <= 20 and abs(value := int(text)) <= _MAX_INT:
            return value
        return self._bad("The number is out of range: integers have 64 bits.")

    def number(self, text: str) -> Any:
        value = float(text)
        return value if math.isfinite(value) else self._bad("The number is out of range.")

    def constant(self, text: str) -> Any:
        return self._bad(f"{text} is not JSON.")

    def _bad(self, detail: str) -> _Bad:
        self.flaws = True
        return _Bad(detail)


def _flaws(value: Any, pointer: str, reading: _Reading) -> Iterator[tuple[str, str]]:
    """(pointer, sentence) of everything in ``value`` that must not be there."""
    if isinstance(value, _Bad):
        yield pointer, value.detail
    elif isinstance(value, str):
        if detail := _flaw_of_text(value):
            yield pointer, f"The string {detail}."
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flaws(item, f"{pointer}/{index}", reading)
    elif isinstance(value, dict):
        if id(value) in reading.duplicates:
            name = reading.duplicates[id(value)][1]
            yield pointer + _safe(name), "The field is there twice."
        for name, item in value.items():
            if detail := _flaw_of_text(name):
                yield pointer + _safe(name), f"The field's name {detail}."
            yield from _flaws(item, pointer + _safe(name), reading)


def _flaw_of_text(text: str) -> str | None:
    if "\0" in text:
        return "has a NUL character"
    if any("\ud800" <= char <= "\udfff" for char in text):
        return "has half of a surrogate pair, which is no character"
    return None


def _safe(name: str) -> str:
    """A pointer step that can be sent, whatever the name is."""
    return pointers.escape(name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000"))


def _depth(raw: bytes) -> int:
    """How deep arrays and objects are nested."""
    deepest = depth = 0
    for byte in _STRING.sub(b"", raw):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _invalid(pointer: str, detail: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"{pointer}: {detail}" if pointer else detail, errors=(errors.FieldError(pointer, detail),)
    )


def _too_large(detail: str) -> errors.BodyTooLarge:
    return errors.BodyTooLarge(detail, errors=(errors.FieldError("", detail),))


def _unsupported(header: str, detail: str) -> errors.UnsupportedMediaType:
    return errors.UnsupportedMediaType(detail, errors=(errors.FieldError(f"header:{header}", detail),))
