"""What the API server or the way to it answers amiss, in the words of the compute contract: one table.

The first row that matches counts. Tenants read the messages, so what only
operators may know (addresses, users, our own rights) goes to the log.
"""

import dataclasses
import logging
import re
import ssl
from collections.abc import Iterator

import msgspec
import urllib3
from urllib3 import exceptions

from apisvc.compute import base

LOG = logging.getLogger(__name__)

#: Our ResourceQuota; see :mod:`.tenants`.
QUOTA = "apisvc"


@dataclasses.dataclass(frozen=True)
class Rule:
    """``status`` 0: any. ``text``: a regular expression that is found in the server's message."""

    status: int
    text: str
    error: type[base.DriverError]
    why: str
    #: What tenants read; "": the server's own message.
    message: str = ""
    retry_after: float | None = None

    def matches(self, status: int, text: str) -> bool:
        if self.status not in (0, status) and not (self.status == 500 and status > 500):
            return False
        return re.search(self.text, text) is not None


RULES: tuple[Rule, ...] = (
    Rule(
        0,
        r"admission webhook .* denied the request",
        base.InvalidSpec,
        "a policy of the cluster refuses the object",
    ),
    Rule(
        401,
        "",
        base.Unauthorized,
        "the credentials are refused, also after they were read anew once",
        "The cluster refuses the credentials of apisvc.",
    ),
    Rule(
        403,
        rf"exceeded quota: {QUOTA}(?![\w.-])",
        base.NoCapacity,
        "the namespace's quota is the tenant's own, which apisvc has checked: what is being deleted still counts",
        retry_after=1.0,
    ),
    Rule(
        403,
        "exceeded quota|insufficient quota",
        base.BackendQuota,
        "a ResourceQuota that others made is used up",
    ),
    Rule(
        403,
        "is being terminated",
        base.InProgress,
        "the namespace is on its way out; it is made anew when it is gone",
        "What the tenant had on the cluster is still being removed.",
    ),
    Rule(
        403,
        "error looking up service account|no API token found|not yet provisioned|status unknown for quota",
        base.InProgress,
        "the namespace is new, and the cluster's controllers are not done with it",
        "The tenant's namespace is still being set up.",
    ),
    Rule(
        403,
        r'[Uu]ser "[^"]*" cannot |RBAC:',
        base.Unauthorized,
        "apisvc lacks a right on the cluster; the log names it",
        "The cluster does not let apisvc do this.",
    ),
    Rule(
        403,
        "",
        base.InvalidSpec,
        "an admission rule of the cluster (pod security, limits) refuses the object",
    ),
    Rule(
        404,
        r"namespaces? .*not found",
        base.InProgress,
        "the namespace is gone; it is made anew before the next try",
        "The tenant's namespace is being made again.",
    ),
    Rule(
        404,
        "could not find the requested resource",
        base.Unavailable,
        "a kubelet that is starting does not know its pods yet, or the server lacks this part of the API",
        "The instance's node does not answer.",
        retry_after=1.0,
    ),
    Rule(404, "", base.NotFound, "what the request names is not there"),
    Rule(408, "", base.Timeout, "the server gave up on the request"),
    Rule(
        409,
        "",
        base.InProgress,
        "somebody else changed the object in between; it is looked at again",
        "It was changed by somebody else in this moment.",
    ),
    Rule(
        410,
        "",
        base.InProgress,
        "a position in a list or watch is too old; it is listed again",
        "The cluster's answer was outdated.",
    ),
    Rule(429, "", base.RateLimited, "the server asks for a pause; Retry-After is kept"),
    Rule(400, "", base.InvalidSpec, "the server cannot read the object"),
    Rule(413, "", base.InvalidSpec, "the object is too large"),
    Rule(422, "", base.InvalidSpec, "validation refuses the object; the message is Kubernetes' own"),
    Rule(
        500,
        "failed calling webhook|failed to call webhook",
        base.Unavailable,
        "a webhook of the cluster does not answer",
        "A policy service of the cluster does not answer.",
    ),
    Rule(504, "", base.Timeout, "a gateway or the server itself ran out of time"),
    Rule(500, "request timed out|context deadline exceeded", base.Timeout, "the server's own store is slow"),
    Rule(
        500,
        "",
        base.Unavailable,
        "the server or what is before it fails; Retry-After is kept",
        "The cluster's API server fails.",
    ),
    Rule(0, "", base.DriverBug, "an answer that no row above knows"),
)

#: Error of the way to the server -> the contract's error, why, and what tenants read. The first that fits.
TRANSPORT: tuple[tuple[tuple[type[BaseException], ...], type[base.DriverError], str, str], ...] = (
    (
        (exceptions.ConnectTimeoutError,),
        base.Unavailable,
        "no connection within connect_timeout",
        "The cluster cannot be reached.",
    ),
    (
        (exceptions.TimeoutError, TimeoutError),
        base.Timeout,
        "connected, and no answer in time",
        "The cluster did not answer in time.",
    ),
    (
        (exceptions.SSLError, ssl.SSLError),
        base.Unavailable,
        "TLS fails: a certificate that is not trusted, expired, or of another name; the log says which",
        "The cluster's identity cannot be established.",
    ),
    (
        (exceptions.HTTPError, OSError),
        base.Unavailable,
        "refused, reset, or no such host",
        "The cluster cannot be reached.",
    ),
)


class Refusal(msgspec.Struct, rename="camel"):
    """Kubernetes' ``Status`` object, as far as it matters."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: "Details | None" = None


class Details(msgspec.Struct, rename="camel"):
    kind: str = ""
    retry_after_seconds: int = 0
    causes: list[dict[str, str]] = []


def read(body: bytes) -> Refusal:
    """The ``Status`` in a body; a body that is none is its message."""
    try:
        return msgspec.json.decode(body, type=Refusal)
    except msgspec.MsgspecError:
        return Refusal(message=body[:500].decode(errors="replace").strip())


def of_answer(status: int, body: bytes, what: str, retry_after: str | None = None) -> base.DriverError:
    """The error for an answer that is not 2xx. ``what`` was asked, for the log."""
    refusal = read(body)
    rule = next(rule for rule in RULES if rule.matches(status, refusal.message))
    pause = rule.retry_after
    if retry_after and retry_after.isdecimal():
        pause = float(retry_after)
    elif refusal.details and refusal.details.retry_after_seconds:
        pause = float(refusal.details.retry_after_seconds)
    if rule.error in (base.Unauthorized, base.DriverBug, base.Unavailable):
        LOG.warning("%s: %s %s: %s", what, status, refusal.reason, refusal.message)
    message = rule.message or refusal.message or f"The cluster answered {status}."
    return rule.error(message, retry_after=pause)


def of_transport(error: Exception, what: str) -> base.DriverError:
    """The error for a request that got no answer."""
    found: BaseException = error
    if isinstance(found, exceptions.MaxRetryError) and found.reason is not None:
        found = found.reason
    if isinstance(found, exceptions.ProtocolError) and isinstance(found.args[-1], TimeoutError):
        found = found.args[-1]
    for kinds, made, _, message in TRANSPORT:
        if isinstance(found, kinds):
            LOG.info("%s: %s: %s", what, type(found).__name__, found)
            return made(message)
    raise error


def never_sent(error: Exception) -> bool:
    """Whether the server closed a kept connection before it read the request, so that it is sent once more."""
    return isinstance(error, exceptions.ProtocolError) and not isinstance(
        error, urllib3.exceptions.IncompleteRead
    )


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Answer, what its text says, error, why: reStructuredText for the docs."""
    for rule in RULES:
        status = f"{rule.status}" if rule.status else "any other" if not rule.text else "any"
        status = "5xx" if rule.status == 500 else status
        text = f"``{rule.text}``" if rule.text else ""
        yield status, text, f"``{rule.error.__name__}``", rule.why
    for kinds, error, why, _ in TRANSPORT:
        names = sorted({f"``{kind.__name__}``" for kind in kinds})
        yield "none", ", ".join(names), f"``{error.__name__}``", why
