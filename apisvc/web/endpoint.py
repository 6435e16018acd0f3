"""One operation as a Falcon responder: the whole way of a request, in order."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import falcon
import msgspec
from oslo_config import cfg

from apisvc import errors
from apisvc.model import events, identity
from apisvc.schemas import base
from apisvc.service import context, listing, secrets, tenants, transaction
from apisvc.storage import base as storage
from apisvc.web import (
    body,
    etag,
    guard,
    idempotency,
    limits,
    operation,
    query,
    requestid,
    staleness,
    streams,
    terminals,
    versions,
)

#: What can stand for a ``{name}`` in a path; all ids and names do, and the host names that nodes have.
_SEGMENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._@-]{0,251}[A-Za-z0-9])?")
_NOBODY = events.Actor(kind="user", id="-")


@dataclasses.dataclass(frozen=True)
class Machinery:
    """What all endpoints share."""

    guard: guard.Guard
    store: storage.Store
    secrets: secrets.SecretBox
    streams: streams.Streams
    limiter: limits.Limiter
    request_timeout: float
    max_body_bytes: int
    default_limit: int
    max_limit: int
    max_stale: float
    terminal_limits: terminals.Limits
    #: Told why a terminal ended.
    terminal_ended: Callable[[str], None]


def machinery(
    conf: cfg.ConfigOpts,
    the_guard: guard.Guard,
    store: storage.Store,
    box: secrets.SecretBox,
    open_streams: streams.Streams,
    terminal_ended: Callable[[str], None] = lambda why: None,
) -> Machinery:
    # PERF: Options are read once; each look into a ConfigOpts costs microseconds.
    return Machinery(
        guard=the_guard,
        store=store,
        secrets=box,
        streams=open_streams,
        limiter=limits.Limiter(conf.api.rate_limit, conf.api.rate_burst),
        request_timeout=conf.api.request_timeout,
        max_body_bytes=conf.api.max_body_bytes,
        default_limit=conf.api.default_limit,
        max_limit=conf.api.max_limit,
        max_stale=conf.storage.max_stale,
        terminal_limits=terminals.Limits(conf.live.terminal_idle, conf.live.terminal_longest),
        terminal_ended=terminal_ended,
    )


class Endpoint:
    """A Falcon responder for one operation."""

    def __init__(self, op: operation.Operation, shared: Machinery) -> None:
        self.operation = op
        self._with = shared
        self._query = query.Reader(op.query)
        self._since = versions.parse(op.since)
        self._first_page = listing.Page(shared.default_limit)
        self._encoder = msgspec.json.Encoder()

    def __call__(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        req.context.operation = self.operation.id
        if versions.negotiate(req.env.get("HTTP_OPENSTACK_API_VERSION")) < self._since:
            raise errors.NotFound(f"{self.operation.id} came with version {self.operation.since} of the API.")
        deadline = time.monotonic() + self._with.request_timeout
        max_stale = staleness.asked(req, self._with.max_stale)
        # Token, tenant and resource are all seen as they are now or later, which is asked once.
        with self._with.store.reading(max_stale=max_stale) as moment:
            call, raw = self._admit(req, path, deadline)
            answer = self._answer(call, raw, resp)
        self._write(call, resp, answer)
        staleness.tell(resp, moment.age)

    def _admit(
        self, req: falcon.Request, path: dict[str, str], deadline: float
    ) -> tuple[operation.Call, bytes]:
        """Who is it, where, may they; and only then: what do they say?"""
        for name, value in path.items():
            if not _SEGMENT.fullmatch(value):
                detail = f"{value[:128]!r} can be no {name}."
                raise errors.NotFound(detail, errors=(errors.FieldError(f"path:{name}", detail),))
        caller = self._identify(req, deadline)
        if caller is not None:
            req.context.user_id = caller.user_id
        ctx = self._context(req, caller, deadline)
        place = self._enter(ctx, path)
        if place is not None:
            req.context.tenant_id = place.tenant.value.id
        if caller is not None:
            self._with.limiter.admit(place.tenant.value.id if place else caller.user_id)
        if self.operation.websocket:
            terminals.require_upgrade(req)
        asked = self._query.read(req.query_string)
        raw = body.read(req, self._with.max_body_bytes) if req.method not in ("GET", "HEAD") else b""
        call = operation.Call(
            context=ctx,
            path=path,
            query=asked,
            body=self._body(req, raw),
            tenant=place.tenant if place else None,
            role=place.role if place else None,
            page=self._page(asked),
            request=req,
            operation=self.operation,
        )
        return call, raw

    def _identify(self, req: falcon.Request, deadline: float) -> identity.Identity | None:
        """The caller; None where anybody may call."""
        if self.operation.policy is None:
            return None
        caller = self._with.guard.identify(guard.Headers(req.env), deadline)
        return guard.effective(caller, self.operation)

    def _enter(self, ctx: context.Context, path: Mapping[str, str]) -> tenants.Visible | None:
        """Find the tenant of the path, if there is one, and ask the policy."""
        op, caller = self.operation, ctx.identity
        if op.policy is None or caller is None:
            return None
        self._with.guard.welcome(ctx)
        place = self._with.guard.tenant(ctx, path["tenant"]) if op.in_tenant else None
        tenant_id, role = (place.tenant.value.id, place.role) if place else (None, None)
        self._with.guard.authorize(op.policy, caller, tenant_id, role)
        return place

    def _still_allowed(self, call: operation.Call) -> bool:
        """Whether the same request would be let in again, now."""
        deadline = time.monotonic() + self._with.request_timeout
        try:
            caller = self._identify(call.request, deadline)
            self._enter(msgspec.structs.replace(call.context, identity=caller, deadline=deadline), call.path)
        except errors.ApisvcError:
            return False
        return True

    def _context(
        self, req: falcon.Request, caller: identity.Identity | None, deadline: float
    ) -> context.Context:
        actor = _NOBODY
        if caller is not None:
            actor = events.Actor(kind="user", id=caller.user_id, name=caller.user_name)
        condition = req.env.get("HTTP_IF_MATCH")
        if condition is not None and not self.operation.conditional and req.method not in ("GET", "HEAD"):
            detail = "This operation takes no condition."
            raise errors.InvalidRequest(
                f"If-Match: {detail}", errors=(errors.FieldError("header:If-Match", detail),)
            )
        return context.Context(
            actor=actor,
            deadline=deadline,
            request_id=requestid.of(req),
            identity=caller,
            if_match=None if condition is None else etag.if_match(condition),
        )

    def _body(self, req: falcon.Request, raw: bytes) -> Any:
        if self.operation.body is None:
            if raw:
                body.require_empty(raw)
            return None
        body.check_media_type(req)
        return body.decode(raw, self.operation.body)

    def _page(self, asked: Any) -> listing.Page:
        if not isinstance(asked, base.ListQuery):
            return self._first_page
        limit = asked.limit or self._with.default_limit
        if limit > self._with.max_limit:
            detail = f"At most {self._with.max_limit} items are on a page."
            raise errors.InvalidRequest(detail, errors=(errors.FieldError("query:limit", detail),))
        return listing.Page(limit, asked.marker)

    def _perform(self, call: operation.Call, raw: bytes) -> operation.Answer:
        """Call the handler, once for all requests with the same Idempotency-Key."""
        caller, deadline = call.context.identity, call.context.deadline
        key = idempotency.key_of(call.request, self.operation)
        if key is None or caller is None or _only_asks(call.query):
            return self.operation.handler(call)
        wanted = idempotency.replayable(call, caller, key, raw)
        call.context = msgspec.structs.replace(call.context, replayable=wanted)
        store, box = self._with.store, self._with.secrets
        kept = idempotency.earlier(store, wanted, deadline)
        if kept is not None:
            return idempotency.replay(kept, wanted, box)
        try:
            return self.operation.handler(call)
        except transaction.Replayed as replayed:
            return idempotency.replay(replayed.record, wanted, box)
        except (errors.Conflict, errors.Forbidden, errors.NotFound):
            # A twin may have done it between our reads, and be the very reason.
            kept = idempotency.earlier(store, wanted, deadline)
            if kept is None:
                raise
            return idempotency.replay(kept, wanted, box)

    def _answer(self, call: operation.Call, raw: bytes, resp: falcon.Response) -> operation.Answer:
        """What the handler answers; what may take long is counted among the open streams first."""
        op = self.operation
        if not op.lasting and not op.websocket:
            return self._perform(call, raw)
        released = self._with.streams.hold(call.tenant.value.id if call.tenant else None)
        with contextlib.ExitStack() as held:
            held.callback(released)
            answer = self._perform(call, raw)
            if answer.session is not None:
                held.pop_all()  # from here on the bridge has it
                resp.stream = terminals.Bridge(
                    answer.session,
                    call.request,
                    self._with.terminal_limits,
                    released=released,
                    allowed=lambda: self._still_allowed(call),
                    ended=self._with.terminal_ended,
                )
        return answer

    def _write(self, call: operation.Call, resp: falcon.Response, answer: operation.Answer) -> None:
        req = call.request
        resp.status = answer.status or self.operation.status
        for name, value in answer.headers.items():
            resp.set_header(name, value)
        if answer.location is not None:
            resp.set_header("Location", req.root_path + answer.location)
        if answer.stream is not None:
            tenant_id = call.tenant.value.id if call.tenant else None
            resp.content_type = answer.content_type or "application/octet-stream"
            resp.stream = self._with.streams.admit(
                answer.stream, tenant_id, req, lambda: self._still_allowed(call)
            )
            # For proxies: hand on each event as it comes.
            resp.set_header("X-Accel-Buffering", "no")
            return
        if answer.session is not None:
            # NOTE: Falcon drops the stream of a 101. Its status line is never sent; ours is.
            resp.status = 200
            return
        reads = req.method in ("GET", "HEAD")
        if answer.revision is not None:
            if answer.tagged and not self.operation.untagged:
                resp.set_header("ETag", etag.of(answer.revision))
            # APPSEC: What a write answers may be a token; nobody is to keep that.
            resp.set_header("Cache-Control", "private, no-cache" if reads else "no-store")
        if reads and self._not_modified(call, resp, answer.revision):
            return
        if isinstance(answer.body, bytes):
            resp.content_type = answer.content_type or "application/octet-stream"
            resp.data = answer.body
        elif answer.body is not None:
            resp.data = self._encoder.encode(answer.body)
            following = getattr(answer.body, "next", None)
            if following:
                resp.set_header("Link", f'<{following}>; rel="next"')

    @staticmethod
    def _not_modified(call: operation.Call, resp: falcon.Response, revision: int | None) -> bool:
        """Evaluate the conditions of a GET; True: it is answered."""
        wanted = call.context.if_match
        if wanted is not None and wanted != revision:
            raise errors.PreconditionFailed()
        known = call.request.env.get("HTTP_IF_NONE_MATCH")
        if known is None or (tag := resp.get_header("ETag")) is None or not etag.unchanged(known, tag):
            return False
        resp.status = 304
        return True


def _only_asks(asked: Any) -> bool:
    """Whether the query says that nothing is to be changed."""
    return isinstance(asked, base.Query) and asked.changes_nothing
