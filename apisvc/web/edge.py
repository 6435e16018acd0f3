"""What happens to every request, also to those that no operation answers."""

import time

import falcon

from apisvc import errors
from apisvc.web import logs, metrics, requestid, versions

#: Keys of a WSGI environ that are not headers; servers differ by a few.
_NOT_HEADERS = 30


class Edge:
    """The outermost Falcon middleware: request id, header count, version, metrics, access log."""

    def __init__(self, counted: metrics.Metrics, access_log: bool, max_headers: int) -> None:
        self._metrics = counted
        self._access_log = access_log
        self._max_headers = max_headers

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.started = time.perf_counter()
        requestid.assign(req, resp)
        # PERF: Only a suspiciously large environ is looked into.
        if len(req.env) > self._max_headers + _NOT_HEADERS // 3 and self._headers(req) > self._max_headers:
            raise errors.InvalidRequest(f"The request has more than {self._max_headers} header fields.")

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        try:
            version = versions.negotiate(req.env.get("HTTP_OPENSTACK_API_VERSION"))
        except errors.ApisvcError:
            version = versions.MINIMUM  # the problem has been answered already
        resp.set_header(versions.HEADER, versions.shown(version))
        resp.append_header("Vary", versions.HEADER)
        resp.set_header("X-Content-Type-Options", "nosniff")
        if "cache-control" not in resp._headers:
            resp.set_header("Cache-Control", "no-store")
        self._metrics.request(req, resp)
        if self._access_log:
            logs.access(req, resp)

    @staticmethod
    def _headers(req: falcon.Request) -> int:
        return sum(1 for key in req.env if key.startswith("HTTP_"))
