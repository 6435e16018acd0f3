"""What the client raises. Every error is a :class:`ClientError`.

::

    ClientError
    ├── Unreachable               no answer: refused, no such host, cut, TLS
    ├── DeadlineExceeded          the call's own deadline passed
    ├── BadAnswer                 something answered, but not an apisvc
    ├── WaitTimeout               wait(): the state was not reached in time
    ├── WaitFailed                wait(): it came to rest in another state, or is gone
    └── ApiError                  a problem document (RFC 9457)
        ├── InvalidRequest        400, 405, 406, 413, 415, 422
        ├── Unauthenticated       401
        ├── Forbidden             403
        │   └── QuotaExceeded     403 apisvc.quota.exceeded
        ├── NotFound              404
        ├── Conflict              409
        ├── CursorExpired         410
        ├── PreconditionFailed    412
        ├── TooManyRequests       429
        └── ServiceUnavailable    502, 503, 504

Branch on the class, or for finer cases on ``error.code``, which is frozen.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """The root. ``str(error)`` is a sentence for people."""


class Unreachable(ClientError):
    """No answer. ``sent``: the request may have arrived. ``permanent``: trying again will not help."""

    def __init__(self, message: str, *, sent: bool, permanent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.permanent = permanent


class DeadlineExceeded(ClientError):
    """The call's deadline passed. A write may or may not have happened."""


class BadAnswer(ClientError):
    """The answer is not one that apisvc gives: a proxy's page, another service, a redirect."""


class WaitTimeout(ClientError):
    """What was waited for did not happen in time. ``instance`` is as last seen."""

    def __init__(self, message: str, instance: dict[str, Any] | None) -> None:
        super().__init__(message)
        self.instance = instance


class WaitFailed(ClientError):
    """What was waited for cannot happen any more by itself. ``instance`` is as last seen, None when gone."""

    def __init__(self, message: str, instance: dict[str, Any] | None) -> None:
        super().__init__(message)
        self.instance = instance


@dataclasses.dataclass(frozen=True)
class FieldError:
    """One thing wrong with a request: where (a JSON pointer, ``query:limit`` ...) and what."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class ApiError(ClientError):
    """The service refused or failed. ``problem`` is the whole document."""

    def __init__(self, status: int, problem: Mapping[str, Any], *, retry_after: float | None = None) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code") or "")
        self.title = str(problem.get("title") or "")
        self.detail = str(problem.get("detail") or self.title or f"HTTP {status}")
        self.request_id: str | None = problem.get("request_id")
        self.errors = tuple(
            FieldError(str(item.get("pointer", "")), str(item.get("detail", "")))
            for item in problem.get("errors") or ()
            if isinstance(item, dict)
        )
        self.retry_after = retry_after
        super().__init__(self.detail)


class InvalidRequest(ApiError):
    """The request itself is wrong; ``errors`` says where."""


class Unauthenticated(ApiError):
    """No token, or one that is not, or no longer, valid."""


class Forbidden(ApiError):
    """The caller's role does not allow it."""


class QuotaExceeded(Forbidden):
    """The tenant's quota does not have room for it."""

    @property
    def exceeded(self) -> tuple[dict[str, Any], ...]:
        """Each limit in the way: ``{resource, limit, used, asked, free}``."""
        return tuple(self.problem.get("exceeded") or ())


class NotFound(ApiError):
    """There is no such thing, or none that the caller may know of."""


class Conflict(ApiError):
    """Not possible as things stand: exists already, wrong state, no backend for it."""


class CursorExpired(ApiError):
    """The feed no longer reaches back to the cursor: list again and go on from there."""


class PreconditionFailed(ApiError):
    """Somebody changed it since the revision in ``if_match``."""


class TooManyRequests(ApiError):
    """Slow down; ``retry_after`` says for how long."""


class ServiceUnavailable(ApiError):
    """The service, or what it stands on, cannot answer now."""


_BY_CODE: Mapping[str, type[ApiError]] = {"apisvc.quota.exceeded": QuotaExceeded}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: CursorExpired,
    412: PreconditionFailed,
    429: TooManyRequests,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
    **dict.fromkeys((400, 405, 406, 413, 415, 422), InvalidRequest),
}


def from_problem(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> ApiError:
    """The error for a problem document; an unknown code or status still finds its nearest class."""
    kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(status, ApiError)
    return kind(status, problem, retry_after=retry_after)
