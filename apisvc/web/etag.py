"""ETags and the conditions on them (RFC 9110, section 13). An ETag is a revision in quotes: ``"42"``."""

import re

from apisvc import errors

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")
#: What the headers may be, for the OpenAPI document.
IF_MATCH = r'^(\*|(W/)?"[!#-~]*")$'
IF_NONE_MATCH = r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$'
_ONE = re.compile(_TAG)
_REVISION = re.compile(r'"(\d{1,18})"')


def of(revision: int) -> str:
    return f'"{revision}"'


def if_match(header: str | None) -> int | None:
    """The revision that If-Match asks for; None: no condition (absent, or ``*``).

    :raises InvalidRequest: it is not a list of entity tags, or names several.
    :raises PreconditionFailed: it is one that no resource of ours can have; a
        weak one is such a tag, as If-Match compares strongly.
    """
    if header is None or header.strip() == "*":
        return None
    tags = _tags("If-Match", header)
    if len(tags) > 1:
        raise _invalid("If-Match", "Send one entity tag.")
    match = _REVISION.fullmatch(tags[0])
    if match is None:
        raise errors.PreconditionFailed(f"No version has the entity tag {tags[0]}.")
    return int(match[1])


def unchanged(header: str, tag: str) -> bool:
    """Whether If-None-Match already names the ETag ``tag``, so that a GET is answered 304."""
    if header.strip() == "*":
        return True
    return tag in [known.removeprefix("W/") for known in _tags("If-None-Match", header)]


def _tags(name: str, header: str) -> list[str]:
    if not _LIST.fullmatch(header):
        raise _invalid(name, 'Expected an entity tag in quotes, as in ETag: "42".')
    return _ONE.findall(header)


def _invalid(name: str, detail: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(f"{name}: {detail}", errors=(errors.FieldError(f"header:{name}", detail),))
