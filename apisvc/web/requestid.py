"""The request id: made here, answered, logged, and in every problem document."""

import contextvars
import random
import re

import falcon

HEADER = "X-OpenStack-Request-ID"
_FORM = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: The id of the request that this thread works on, for log records.
current: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
#: The id that the calling service gave its own request, if it sent a valid one.
current_global: contextvars.ContextVar[str | None] = contextvars.ContextVar("global_request_id", default=None)


def new() -> str:
    # PERF: uuid.uuid4() asks the kernel for randomness each time, and writing a UUID takes longer than this.
    # Nobody need guess these.
    digits = f"{random.getrandbits(124):031x}"
    version, variant = f"4{digits[12:15]}", "89ab"[int(digits[15], 16) & 3] + digits[16:19]
    return f"req-{digits[:8]}-{digits[8:12]}-{version}-{variant}-{digits[19:]}"


def assign(req: falcon.Request, resp: falcon.Response) -> None:
    request_id = new()
    req.context.request_id = request_id
    current.set(request_id)
    resp.set_header(HEADER, request_id)
    inbound = req.env.get("HTTP_X_OPENSTACK_REQUEST_ID")
    current_global.set(inbound if inbound is not None and _FORM.fullmatch(inbound) else None)


def of(req: falcon.Request) -> str | None:
    return getattr(req.context, "request_id", None)
