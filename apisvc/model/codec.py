"""Records to stored bytes and back."""

import functools
import threading
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Versioned(msgspec.Struct, Generic[T], frozen=True):
    """A record and the revision that wrote it, which is also its ETag."""

    value: T
    revision: int


_encoder = msgspec.json.Encoder()


#: Held while msgspec learns a type. It remembers what it learnt in the type itself, from the first moment on:
#: another thread that finds it half learnt crashes the process.
_learning = threading.Lock()


@functools.cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    # PERF: building a decoder costs more than using it.
    with _learning:
        return msgspec.json.Decoder(kind)


def encode(record: Any) -> bytes:
    """A record (or a plain str: an index entry) as stored."""
    return _encoder.encode(record)


def decode(raw: bytes, kind: type[T]) -> T:
    """The record in ``raw``. Fields it does not know are passed over: a newer release wrote them."""
    hashable: Any = kind  # mypy takes type[T] for unhashable
    record: T = _decoder(hashable).decode(raw)
    return record


def convert(value: Any, kind: type[T], *, strict: bool = True) -> T:
    """``msgspec.convert``, safe to be the first that sees ``kind`` while other threads do, too."""
    hashable: Any = kind
    _decoder(hashable)
    return msgspec.convert(value, kind, strict=strict)
