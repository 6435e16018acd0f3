"""The REST client library: plain dicts in and out.

::

    from apisvc import client

    api = client.Client("http://127.0.0.1:5000", token)
    instance = api.instances.create("acme", name="web", image="host", flavor="tiny")
    api.wait(instance, "active", timeout=60)

It needs nothing of the service but its URL; see :class:`Client` for what it
does by itself (deadlines, safe retries, paging, resuming feeds) and
:mod:`apisvc.client.errors` for what it raises.
"""

from apisvc.client.client import Client
from apisvc.client.errors import (
    ApiError,
    BadAnswer,
    ClientError,
    Conflict,
    CursorExpired,
    DeadlineExceeded,
    FieldError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    ServiceUnavailable,
    TooManyRequests,
    Unauthenticated,
    Unreachable,
    WaitFailed,
    WaitTimeout,
)

__all__ = [
    "ApiError",
    "BadAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "CursorExpired",
    "DeadlineExceeded",
    "FieldError",
    "Forbidden",
    "InvalidRequest",
    "NotFound",
    "PreconditionFailed",
    "QuotaExceeded",
    "ServiceUnavailable",
    "TooManyRequests",
    "Unauthenticated",
    "Unreachable",
    "WaitFailed",
    "WaitTimeout",
]
