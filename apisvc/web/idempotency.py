"""Idempotency-Key: a POST sent twice happens once and is answered twice.

The answer is kept in the transaction of the request itself. So of twins that
race, one commits and the others find its record; and what failed leaves none.
"""

import hashlib
import re
from typing import Any

import falcon
import msgspec

from apisvc import errors
from apisvc.model import codec, identity, keys, replays
from apisvc.service import context, secrets
from apisvc.storage import base as storage
from apisvc.web import operation

HEADER = "Idempotency-Key"
_FORM = re.compile(r"[\x21-\x7e]{1,255}")


def key_of(req: falcon.Request, op: operation.Operation) -> str | None:
    """The key sent, checked; None without one.

    :raises InvalidRequest: it is malformed, or this operation keeps no answers.
    """
    key: str | None = req.env.get("HTTP_IDEMPOTENCY_KEY")
    if key is None or op.method != "POST":
        return None
    if not _FORM.fullmatch(key):
        raise _invalid("Expected 1 to 255 visible ASCII characters.")
    if op.render is None:
        raise _invalid("This operation does not keep its answers; send it without the key.")
    return key


def replayable(call: operation.Call, caller: identity.Identity, key: str, raw: bytes) -> context.Replayable:
    """What the transaction needs to remember its answer."""
    req, op = call.request, call.operation
    digest = hashlib.sha256(f"{caller.user_id}\0{key}".encode()).hexdigest()
    # APPSEC: What a token was given (a new token, say) is not repeated to one with other limits.
    rights = f"{caller.admin} {caller.scope_tenant_id} {caller.scope_role}"
    told = "\n".join([rights, req.method, req.path, req.query_string]).encode("utf-8", "surrogateescape")
    fingerprint = hashlib.sha256(told + b"\n" + raw).hexdigest()

    def render(result: Any) -> tuple[int, str | None, bytes]:
        assert op.render is not None
        answer = op.render(call, result, 0)
        body = b"" if answer.body is None else msgspec.json.encode(answer.body)
        return answer.status or op.status, answer.location, body

    return context.Replayable(key=keys.join(keys.REPLAYS, digest), fingerprint=fingerprint, render=render)


def earlier(
    store: storage.Store, wanted: context.Replayable, deadline: float
) -> codec.Versioned[replays.Replay] | None:
    """The record of a request that had the same key, if there is one."""
    record = store.get([wanted.key], deadline=deadline).records.get(wanted.key)
    if record is None:
        return None
    return codec.Versioned(codec.decode(record.value, replays.Replay), record.revision)


def replay(
    record: codec.Versioned[replays.Replay], wanted: context.Replayable, box: secrets.SecretBox
) -> operation.Answer:
    """The answer kept, as it was sent the first time.

    :raises IdempotencyMismatch: that was another request.
    """
    kept = record.value
    if kept.fingerprint != wanted.fingerprint:
        raise errors.IdempotencyMismatch()
    raw = box.decrypt(kept.answer)
    body = msgspec.json.decode(raw) if raw else None
    if isinstance(body, dict) and "revision" in body:
        # It was rendered before the commit that gave it its revision.
        body["revision"] = record.revision
    return operation.Answer(
        body=body,
        status=kept.status,
        location=kept.location,
        revision=record.revision,
        headers={"Idempotency-Replayed": "true"},
    )


def _invalid(detail: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"{HEADER}: {detail}", errors=(errors.FieldError(f"header:{HEADER}", detail),)
    )
