"""Every error as an RFC 9457 problem document."""

import http
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import falcon
import msgspec

from apisvc import errors
from apisvc.web import requestid

LOG = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Where the codes are explained to people; ``type`` points there.
DOCS = "/docs/problems"


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with the request."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457. ``code`` is what clients branch on; ``detail`` is prose. Some codes bring further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: list[FieldProblem] = []


def catalogue() -> list[type[errors.ApisvcError]]:
    """All errors that can be answered, by status and code."""

    def tree(kind: type[errors.ApisvcError]) -> Iterator[type[errors.ApisvcError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    own = {kind for kind in tree(errors.ApisvcError) if kind is not errors.StartError}
    return sorted(own, key=lambda kind: (kind.status, kind.code))


def meaning(kind: type[errors.ApisvcError]) -> str:
    """What the code tells those who meet it; ``literals`` are marked."""
    # The root is documented for those who write code.
    return kind.message if kind is errors.ApisvcError else (kind.__doc__ or "")


def document(error: errors.ApisvcError, request_id: str | None) -> dict[str, Any]:
    """The members of the problem document for ``error``."""
    return {
        "type": f"{DOCS}#{error.code}",
        "title": error.title,
        "status": error.status,
        # APPSEC: Where the store is, and what is wrong with it, is for the log.
        "detail": error.message if isinstance(error, errors.StoreUnavailable) else error.detail,
        "code": error.code,
        "request_id": request_id,
        "errors": [{"pointer": one.pointer, "detail": one.detail} for one in error.errors],
        **error.extensions,
    }


def write(req: falcon.Request, resp: falcon.Response, error: errors.ApisvcError) -> None:
    """Make ``error`` the answer."""
    _write(resp, document(error, requestid.of(req)))
    if error.retry_after is not None:
        resp.set_header("Retry-After", str(max(1, math.ceil(error.retry_after))))
    if error.status == 401:
        resp.set_header("WWW-Authenticate", 'Bearer realm="apisvc"')
    if error.status == 426:
        resp.set_header("Upgrade", "websocket")


def install(app: "falcon.App[Any, Any]", count: Callable[[errors.ApisvcError], None]) -> None:
    """Answer all errors of ``app`` as problems. ``count`` is told of each domain error."""

    def domain(req: falcon.Request, resp: falcon.Response, error: errors.ApisvcError, _: Any) -> None:
        if error.status == 500:
            LOG.error("%s %s failed (%s)", req.method, req.path, requestid.of(req), exc_info=error)
        if isinstance(error, errors.StoreUnavailable):
            LOG.warning("%s %s: %s (%s)", req.method, req.path, error.detail, requestid.of(req))
        count(error)
        write(req, resp, error)

    def http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _: Any) -> None:
        for name, value in dict(error.headers or {}).items():
            resp.set_header(name, value)
        write(req, resp, _from_falcon(req, error))

    def bug(req: falcon.Request, resp: falcon.Response, error: Exception, _: Any) -> None:
        # APPSEC: What went wrong inside is for the log; the caller gets the request id to ask with.
        LOG.error("%s %s failed (%s)", req.method, req.path, requestid.of(req), exc_info=error)
        write(req, resp, errors.ApisvcError())

    app.add_error_handler(errors.ApisvcError, domain)
    app.add_error_handler(falcon.HTTPError, http_error)
    app.add_error_handler(Exception, bug)


def _from_falcon(req: falcon.Request, error: falcon.HTTPError) -> errors.ApisvcError:
    """What Falcon itself refuses, in our words."""
    status = error.status_code
    if status == 404:
        return errors.NotFound(f"There is nothing at {req.path!r}.")
    if status == 405:
        return errors.MethodNotAllowed(f"{req.method} is not possible here; Allow says what is.")
    if status == 400:
        return errors.InvalidRequest(error.description or error.title or None)
    return _other(status, error.description)


def _other(status: int, detail: str | None) -> errors.ApisvcError:
    title = http.HTTPStatus(status).phrase
    other = errors.ApisvcError(detail or title)
    # One class for the statuses that only the framework answers with.
    other.status, other.title, other.code = status, title, f"apisvc.http.{status}"
    return other


def _write(resp: falcon.Response, members: dict[str, Any]) -> None:
    resp.status = members["status"]
    resp.content_type = MEDIA_TYPE
    resp.stream = None
    resp.data = msgspec.json.encode(members)
    resp.delete_header("ETag")
    resp.set_header("Cache-Control", "no-store")
