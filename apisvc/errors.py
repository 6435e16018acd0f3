"""The domain errors. Every error a caller can see is one of these.

::

    ApisvcError                     500 apisvc.internal
    ├── StartError                  (never HTTP: one line, then the process stops)
    ├── InvalidRequest              400 apisvc.request.invalid
    ├── Unauthenticated             401 apisvc.auth.required
    ├── Forbidden                   403 apisvc.policy.denied
    │   └── QuotaExceeded           403 apisvc.quota.exceeded
    ├── NotFound                    404 apisvc.resource.not_found
    ├── MethodNotAllowed            405 apisvc.request.method_not_allowed
    ├── NotAcceptable               406 apisvc.request.not_acceptable
    ├── SessionEnded                408 apisvc.session.ended
    ├── Conflict                    409 apisvc.resource.conflict
    │   ├── AlreadyExists           409 apisvc.resource.exists
    │   ├── WrongState              409 apisvc.resource.wrong_state
    │   ├── Unsupported             409 apisvc.backend.unsupported
    │   └── NoBackend               409 apisvc.backend.none_suitable
    ├── CursorExpired               410 apisvc.cursor.expired
    ├── PreconditionFailed          412 apisvc.request.precondition_failed
    ├── BodyTooLarge                413 apisvc.request.too_large
    ├── UnsupportedMediaType        415 apisvc.request.media_type
    ├── IdempotencyMismatch         422 apisvc.idempotency.mismatch
    ├── UpgradeRequired             426 apisvc.request.upgrade_required
    ├── TooManyRequests             429 apisvc.request.rate_limited
    └── Unavailable                 503 apisvc.unavailable
        ├── StoreUnavailable        503 apisvc.store.unavailable
        ├── Contention              503 apisvc.store.contention
        ├── AuthUnavailable         503 apisvc.auth.unavailable
        └── BackendUnavailable      503 apisvc.backend.unavailable

``code`` is frozen public API: clients branch on it. ``detail`` is prose for
people and may change. What a compute driver may raise is a closed set of its
own, in :mod:`apisvc.compute.base`.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class FieldError:
    """One thing wrong with a request.

    ``pointer`` is a JSON pointer into the body (``/spec/env/PATH``, ``""`` is
    the whole body) or, outside the body, ``query:limit``, ``path:tenant`` or
    ``header:If-Match``.
    """

    pointer: str
    detail: str


class ApisvcError(Exception):
    """The root. A subclass fixes what is the same for all its instances."""

    code = "apisvc.internal"
    status = 500
    title = "Internal error"
    #: Used when no detail is given.
    message = "The service met an error it did not expect; it is in the log under the request id."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
        **extensions: Any,
    ) -> None:
        """``extensions`` become further members of the problem document."""
        self.detail = detail or self.message
        self.errors = errors
        self.retry_after = retry_after
        self.extensions = extensions
        super().__init__(self.detail)


class StartError(ApisvcError):
    """A process cannot start. Its detail is the one line that it prints."""

    code = "apisvc.start"
    title = "Cannot start"


class InvalidRequest(ApisvcError):
    """Something in the request is wrong; ``errors`` says where and what would be right."""

    code = "apisvc.request.invalid"
    status = 400
    title = "Invalid request"
    message = "The request is not valid."


class Unauthenticated(ApisvcError):
    """There is no token, or one that is unknown, expired or revoked, or whose user is disabled."""

    code = "apisvc.auth.required"
    status = 401
    title = "Authentication required"
    message = "Send a valid token in X-Auth-Token or as Authorization: Bearer."


class Forbidden(ApisvcError):
    """The role does not allow this, here or with this token."""

    code = "apisvc.policy.denied"
    status = 403
    title = "Forbidden"
    message = "Your role does not allow this."


class QuotaExceeded(Forbidden):
    """The tenant's limits have no room for it: ``exceeded: [{resource, limit, used, asked, free}]``."""

    code = "apisvc.quota.exceeded"
    title = "Quota exceeded"


class NotFound(ApisvcError):
    """There is no such thing, or none that the caller may see."""

    code = "apisvc.resource.not_found"
    status = 404
    title = "Not found"
    message = "There is nothing here."

    @classmethod
    def of(cls, kind: str, ref: str) -> "NotFound":
        return cls(f"No {kind} {ref!r}.")


class MethodNotAllowed(ApisvcError):
    """The path is there, the method is not; ``Allow`` names those that are."""

    code = "apisvc.request.method_not_allowed"
    status = 405
    title = "Method not allowed"


class NotAcceptable(ApisvcError):
    """This version of the API is not served; ``min_version`` to ``max_version`` are."""

    code = "apisvc.request.not_acceptable"
    status = 406
    title = "Not acceptable"


class SessionEnded(ApisvcError):
    """A terminal was closed: nothing was typed or printed for long, or it lasted as long as one may."""

    code = "apisvc.session.ended"
    status = 408
    title = "Terminal closed"


class Conflict(ApisvcError):
    """Things are not as this request needs them; what is in the way is in ``detail``."""

    code = "apisvc.resource.conflict"
    status = 409
    title = "Conflict"


class AlreadyExists(Conflict):
    """The name is taken."""

    code = "apisvc.resource.exists"
    title = "Already exists"


class WrongState(Conflict):
    """The thing, or what it belongs to, is in a state in which this is not possible."""

    code = "apisvc.resource.wrong_state"
    title = "Not possible in this state"


class Unsupported(Conflict):
    """The backend cannot do this; its ``capabilities`` name what it can."""

    code = "apisvc.backend.unsupported"
    title = "Not supported by this backend"


class NoBackend(Conflict):
    """No backend takes it now: ``rejected: [{backend, reason}]``."""

    code = "apisvc.backend.none_suitable"
    title = "No suitable backend"


class CursorExpired(ApisvcError):
    """The feed no longer reaches back to this cursor: list again, and go on from the cursor of that."""

    code = "apisvc.cursor.expired"
    status = 410
    title = "Cursor too old"
    message = "The feed no longer reaches back to this cursor; list again and continue from there."


class PreconditionFailed(ApisvcError):
    """It is no longer the version that ``If-Match`` names: read it again."""

    code = "apisvc.request.precondition_failed"
    status = 412
    title = "Precondition failed"
    message = "The resource has changed since the revision in If-Match."


class BodyTooLarge(ApisvcError):
    """The body has more bytes than this deployment reads."""

    code = "apisvc.request.too_large"
    status = 413
    title = "Request too large"


class UnsupportedMediaType(ApisvcError):
    """The body is not ``application/json`` in UTF-8, or is compressed."""

    code = "apisvc.request.media_type"
    status = 415
    title = "Unsupported media type"
    message = "Send the body as application/json."


class IdempotencyMismatch(ApisvcError):
    """The key was used for another request, or with other rights: each request has a key of its own."""

    code = "apisvc.idempotency.mismatch"
    status = 422
    title = "Idempotency-Key used for another request"
    message = "This Idempotency-Key was sent before with another request; use a new key."


class UpgradeRequired(ApisvcError):
    """This is a WebSocket: send ``Upgrade: websocket`` and one of ``subprotocols``."""

    code = "apisvc.request.upgrade_required"
    status = 426
    title = "WebSocket required"
    message = "This is a WebSocket; open it with a client of that protocol."


class TooManyRequests(ApisvcError):
    """Too many requests, or open streams; ``Retry-After`` says when to try again."""

    code = "apisvc.request.rate_limited"
    status = 429
    title = "Too many requests"


class Unavailable(ApisvcError):
    """It cannot be done now; ``Retry-After`` says when to try again."""

    code = "apisvc.unavailable"
    status = 503
    title = "Temporarily unavailable"
    message = "The service cannot answer now; try again."

    def __init__(self, detail: str | None = None, **kw: Any) -> None:
        kw.setdefault("retry_after", 1.0)
        super().__init__(detail, **kw)


class StoreUnavailable(Unavailable):
    """The store did not answer in time. A write may or may not have happened."""

    code = "apisvc.store.unavailable"
    title = "Store unavailable"
    message = "The store cannot be reached; try again."


class Contention(Unavailable):
    """Nothing was written: others kept changing the same records until the deadline."""

    code = "apisvc.store.contention"
    title = "Too much contention"
    message = "Others kept changing the same records; nothing was written; try again."


class AuthUnavailable(Unavailable):
    """Nobody can tell now whether the token is good."""

    code = "apisvc.auth.unavailable"
    title = "Authentication unavailable"


class BackendUnavailable(Unavailable):
    """The backend does not answer now; what was recorded is safe."""

    code = "apisvc.backend.unavailable"
    title = "Backend unavailable"
