"""Microversions: ``OpenStack-API-Version: apisvc 1.N`` in and out."""

import microversion_parse

from apisvc import errors

HEADER = "OpenStack-API-Version"
SERVICE = "apisvc"
#: All that are served, oldest first. What each one brought is in the API guide.
VERSIONS = ("1.0",)

Version = tuple[int, int]


def parse(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)


MINIMUM, MAXIMUM = parse(VERSIONS[0]), parse(VERSIONS[-1])


def negotiate(header: str | None) -> Version:
    """The version to answer in: the oldest unless the client asks for another one (or ``latest``).

    :raises NotAcceptable: it is not served.
    :raises InvalidRequest: it is not a version.
    """
    if header is None:
        return MINIMUM
    try:
        version = microversion_parse.extract_version({HEADER: header}, SERVICE, VERSIONS)
    except TypeError:
        detail = f"Expected '{SERVICE} <major>.<minor>' or '{SERVICE} latest'."
        raise errors.InvalidRequest(
            f"{HEADER}: {detail}", errors=(errors.FieldError(f"header:{HEADER}", detail),)
        ) from None
    except ValueError:
        raise errors.NotAcceptable(
            f"This version of the API is not served; {VERSIONS[0]} to {VERSIONS[-1]} are.",
            min_version=VERSIONS[0],
            max_version=VERSIONS[-1],
        ) from None
    return version.major, version.minor


def shown(version: Version) -> str:
    """The value of the header in an answer."""
    return f"{SERVICE} {version[0]}.{version[1]}"
