"""The access log, and the request id in every log record."""

import logging
import time

import falcon

from apisvc.web import requestid

LOG = logging.getLogger("apisvc.access")

_LINE = '%s "%s %s" %s %.1fms operation=%s user=%s tenant=%s request_id=%s'
#: What a line of the access log has for those who read JSON, beside the request id.
_FIELDS = ("client", "method", "path", "status", "milliseconds", "operation", "user_id", "tenant_id")


class RequestIds(logging.Filter):
    """Gives each record the ``request_id`` and ``global_request_id`` of the request at hand.

    oslo.log's formats show them, its JSON (``[DEFAULT] use_json``) under ``extra``.
    A filter for handlers: those of loggers do not see the records of their children.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(record, "request_id", None):
            record.request_id = requestid.current.get() or ""
        if not getattr(record, "global_request_id", None):
            record.global_request_id = requestid.current_global.get() or ""
        named = [name for name in ("request_id", "global_request_id") if getattr(record, name)]
        # A list of its own: a logger may give the same one to all its records.
        record.extra_keys = [*getattr(record, "extra_keys", []), *named]
        return True


def install() -> None:
    """Put :class:`RequestIds` on the handlers of the root logger. May be called again."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, RequestIds) for one in handler.filters):
            handler.addFilter(RequestIds())


def access(req: falcon.Request, resp: falcon.Response) -> None:
    """One line for a request: never a header or a query string, as they can hold secrets."""
    if not LOG.isEnabledFor(logging.INFO):
        return
    context = req.context
    told = {
        "client": req.remote_addr,
        "method": req.method,
        # APPSEC: A path can hold line ends, which would forge log lines.
        "path": req.path if req.path.isprintable() else repr(req.path),
        "status": resp.status_code,
        "milliseconds": round((time.perf_counter() - context.started) * 1000, 1),
        "operation": getattr(context, "operation", "-"),
        "user_id": getattr(context, "user_id", "-"),
        "tenant_id": getattr(context, "tenant_id", "-"),
        "request_id": context.request_id,
    }
    LOG.info(_LINE, *told.values(), extra={**told, "extra_keys": _FIELDS})
