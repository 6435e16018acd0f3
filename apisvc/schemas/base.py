"""What the shapes of all resources share: base classes, names, labels, times, lists.

A resource's own file has its request bodies (from :class:`Body`), queries (from
:class:`Query` or :class:`ListQuery`) and views (from :class:`View`). msgspec
does not inherit ``kw_only``, so each class says ``kw_only=True`` itself. What
is null is shown as null.
"""

import datetime
import functools
from collections.abc import Mapping
from typing import Annotated, Any, overload

import msgspec

# NOTE: In Python "$" also matches before a final newline; "(?!\n)" takes that
# back and is harmless in the ECMA dialect of JSON Schema.
_END = r"$(?!\n)"
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

ID_PATTERN = rf"^{_UUID}{_END}"
#: As others write it: Keystone has no dashes in it.
GIVEN_ID_PATTERN = rf"^({_UUID}|[0-9a-f]{{32}}){_END}"
#: Not of the form of an id, so that ``{x}`` in a path is never ambiguous.
NAME_PATTERN = rf"^(?!{_UUID}$)[A-Za-z0-9]([A-Za-z0-9._@-]{{0,61}}[A-Za-z0-9])?{_END}"
DNS_LABEL_PATTERN = rf"^(?!{_UUID}$)[a-z0-9]([a-z0-9-]{{0,61}}[a-z0-9])?{_END}"
#: What belongs to no tenant has "-" in the tenant's place.
MARKER_PATTERN = rf"^({_UUID}|-/{_UUID}|{_UUID}/{_UUID}){_END}"

_EXAMPLE_ID = "0198c5a2-7d3e-7c41-9f0a-3b5d8e2a6c11"

_NAME = (
    "1 to 63 letters, digits, '.', '_', '@' and '-', beginning and ending with a letter or digit, "
    "and not of the form of an id"
)
_DNS_LABEL = "1 to 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"

#: What a pattern means, for error messages: "Expected ...".
EXPLAINED = {
    ID_PATTERN: "an id (UUID)",
    GIVEN_ID_PATTERN: "an id (UUID), with dashes or without",
    NAME_PATTERN: _NAME,
    DNS_LABEL_PATTERN: _DNS_LABEL,
    MARKER_PATTERN: "a marker as given in `next` of an earlier page",
}

Id = Annotated[str, msgspec.Meta(description="An id (UUID).", pattern=ID_PATTERN, examples=[_EXAMPLE_ID])]

Name = Annotated[
    str,
    msgspec.Meta(
        description=f"{_NAME}.",
        max_length=63,
        pattern=NAME_PATTERN,
        examples=["team-a"],
    ),
]

DnsLabel = Annotated[
    str,
    msgspec.Meta(
        description=f"{_DNS_LABEL}.",
        max_length=63,
        pattern=DNS_LABEL_PATTERN,
        examples=["web-1"],
    ),
]

#: An id or a name, in a body or a query.
Ref = Annotated[
    str,
    msgspec.Meta(description="An id or a name.", min_length=1, max_length=63, examples=["small"]),
]

Description = Annotated[str, msgspec.Meta(description="Free text for people.", max_length=1024)]

LabelKey = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=63, pattern=rf"^[^\x00-\x1f\x7f=]+{_END}", examples=["stage"]),
]
LabelValue = Annotated[
    str, msgspec.Meta(max_length=255, pattern=rf"^[^\x00-\x1f\x7f]*{_END}", examples=["test"])
]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    msgspec.Meta(
        description="Up to 64 labels: keys of 1 to 63 characters without '=', values of 0 to 255, no control "
        "characters.",
        max_length=64,
        examples=[{"stage": "test"}],
    ),
]

Timestamp = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339, UTC.",
        examples=["2026-11-22T08:15:30.123456Z"],
        extra_json_schema={"format": "date-time"},
    ),
]

Revision = Annotated[
    int, msgspec.Meta(description="The store revision that wrote it; in quotes it is the ETag.", ge=0)
]


@overload
def timestamp(seconds: float) -> str: ...
@overload
def timestamp(seconds: None) -> None: ...
def timestamp(seconds: float | None) -> str | None:
    """Seconds since the epoch as a :data:`Timestamp`; None stays None."""
    return None if seconds is None else _written(seconds)


@functools.lru_cache(maxsize=4096)  # PERF: a third of what a view costs, and most of them are shown again
def _written(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"  # PERF: a third of strftime's cost


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies. In a PATCH, fields are ``X | msgspec.UnsetType = msgspec.UNSET``."""

    def asked(self) -> dict[str, Any]:
        """The fields that were sent."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of query strings. A parameter that may be repeated is a ``tuple[X, ...]``; a bool is true or false."""

    @property
    def changes_nothing(self) -> bool:
        """Whether a request that could write was told not to; then no answer is kept under its Idempotency-Key."""
        return False


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is answered."""


Limit = Annotated[
    int,
    msgspec.Meta(
        description="Most items to answer; its default and maximum are set by the deployment.", ge=1
    ),
]

Marker = Annotated[
    str,
    msgspec.Meta(
        description="Where to go on: take it from `next` of the page before.", pattern=MARKER_PATTERN
    ),
]


class ListQuery(Query, frozen=True, kw_only=True):
    """Part of a list: ``Call.page`` is made of it."""

    limit: Limit | None = None
    marker: Marker | None = None


class NamedQuery(ListQuery, frozen=True, kw_only=True):
    """Part of a list of what has unique names."""

    name: Annotated[Name | None, msgspec.Meta(description="Only the one of this name.")] = None


#: ``key=value`` (this label with this value) or ``key`` (this label with any value).
LabelFilter = Annotated[
    str,
    msgspec.Meta(
        description="`key=value`: has the label with this value; `key`: has it with any value. May be "
        "repeated; all must hold.",
        min_length=1,
        max_length=319,
        examples=["stage=test"],
    ),
]


def labels_match(filters: tuple[str, ...], labels: Mapping[str, str]) -> bool:
    """Whether ``labels`` satisfy every :data:`LabelFilter`."""
    for wanted in filters:
        key, equals, value = wanted.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
