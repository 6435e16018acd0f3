"""Which pages of other hosts may call the API from a browser."""

from collections.abc import Collection
from typing import Any

import falcon

#: Of what we answer, the headers that a page may read beside those that it always may.
EXPOSED = (
    "Age",
    "Allow",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "OpenStack-API-Version",
    "Retry-After",
    "WWW-Authenticate",
    "X-OpenStack-Request-ID",
)


def middleware(origins: Collection[str]) -> list[Any]:
    """The Falcon middleware for ``[api] cors_origins``; none where no page may."""
    if not origins:
        return []
    if "*" in origins:
        return [falcon.CORSMiddleware(allow_origins="*", expose_headers=EXPOSED)]
    return [_PerOrigin(), falcon.CORSMiddleware(allow_origins=origins, expose_headers=EXPOSED)]


class _PerOrigin:
    """What is answered differs by who asks, so a cache must not show one the answer to another."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        resp.append_header("Vary", "Origin")
