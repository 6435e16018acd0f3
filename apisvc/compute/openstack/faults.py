"""What a cloud answers when it refuses or fails, in the contract's words: one table, read by the code and the docs.

The texts that tenants read are ours. Of the cloud's own only the sentence that
says what is wrong with a request is passed on, without addresses and paths.
"""

import dataclasses
import logging
import re
from collections.abc import Iterator
from typing import Any

from apisvc.compute import base

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Row:
    """``kinds``: names of exception classes; ``text``: what the cloud's own sentence has in it. Empty: any."""

    what: str
    error: type[base.DriverError]
    message: str
    statuses: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    text: str = ""
    #: A CamelCase word for a server that failed so.
    reason: str = "Failed"
    #: Whether logging in anew, with the credentials and catalogue of then, can help.
    login: bool = False

    def matches(self, answer: "Answer") -> bool:
        return (
            (not self.statuses or answer.status in self.statuses)
            and (not self.kinds or bool(answer.kinds & set(self.kinds)))
            and (not self.text or re.search(self.text, answer.text, re.IGNORECASE) is not None)
        )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is known of a failure."""

    kinds: frozenset[str] = frozenset()
    status: int | None = None
    text: str = ""
    retry_after: float | None = None


_CLIENT = tuple(range(400, 500))

#: The first row that matches says what it is.
ROWS: tuple[Row, ...] = (
    Row(
        "no answer within the time",
        base.Timeout,
        "The cloud did not answer in time.",
        kinds=("ConnectTimeout", "Timeout", "ResourceTimeout"),
    ),
    Row(
        "no trusted TLS connection",
        base.Unavailable,
        "No trusted TLS connection to the cloud can be made.",
        kinds=("SSLError",),
    ),
    Row(
        "connection refused or cut; no version of a service can be found (a Glance that is down)",
        base.Unavailable,
        "The cloud, or one of its services, cannot be reached.",
        kinds=(
            "RetriableConnectionFailure",
            "ConnectionError",
            "UnknownConnectionError",
            "DiscoveryFailure",
            "NotSupported",
        ),
    ),
    Row(
        "a service is missing from the catalogue",
        base.Unavailable,
        "The cloud's catalogue lists no such service in this region.",
        kinds=("EndpointNotFound", "ServiceDisabledException", "ServiceDiscoveryException", "EmptyCatalog"),
        login=True,
    ),
    Row(
        "credentials that cannot be used",
        base.Unauthorized,
        "The cloud refuses apisvc's credentials.",
        kinds=(
            "MissingAuthPlugin",
            "MissingRequiredOptions",
            "AuthorizationFailure",
            "NoMatchingPlugin",
            "AuthPluginException",
        ),
        login=True,
    ),
    Row(
        "401, also after logging in anew",
        base.Unauthorized,
        "The cloud refuses apisvc's credentials.",
        statuses=(401,),
        login=True,
    ),
    Row(
        "no valid host",
        base.NoCapacity,
        "The cloud has no room for it now.",
        text=r"no valid host|not enough hosts|exhausted all hosts|insufficient compute resources",
        reason="NoValidHost",
    ),
    Row(
        "a quota (403, 409, 413)",
        base.BackendQuota,
        "A quota on the cloud is used up: {detail}",
        statuses=(400, 403, 409, 413),
        text=r"quota|limit.{0,20}exceeded|maximum number of",
        reason="Quota",
    ),
    Row(
        "429, or 413 with Retry-After",
        base.RateLimited,
        "The cloud asks apisvc to slow down.",
        statuses=(413, 429),
    ),
    Row(
        "a quota met while a server was built",
        base.BackendQuota,
        "A quota on the cloud is used up.",
        statuses=(500,),
        text=r"quota exceeded|exceeds? allowed .{0,30}quota|LimitExceeded|maximum number of",
        reason="Quota",
    ),
    Row(
        "an image that is not active",
        base.InvalidSpec,
        "The image is not ready to be used on the cloud.",
        text=r"image .{0,80}not active",
        reason="ImageNotActive",
    ),
    Row(
        "an image that is gone, or that the tenant cannot use",
        base.NotFound,
        "The cloud does not find the image.",
        text=r"can ?not find requested image|image .{0,80}(could not be found|not found)",
        reason="ImageNotFound",
    ),
    Row(
        "a port that cannot be bound, a network that cannot be allocated",
        base.Unavailable,
        "The cloud could not attach the server to its network.",
        text=r"binding failed|bind(ing)? .{0,40}port|failed to allocate the network|virtual interface creation failed",
        reason="NetworkFailed",
    ),
    Row(
        "a volume that could not be made or attached",
        base.Unavailable,
        "The cloud could not give the server its volume.",
        text=r"volume .{0,80}(did not finish being created|could not be attached)|VolumeNotCreated",
        reason="VolumeFailed",
    ),
    Row(
        "a server that was given up because the cloud's broker, a database or another of its services was away",
        base.Unavailable,
        "A service of the cloud was away while the server was being made.",
        text=r"MessagingTimeout|MessageDeliveryFailure|MessageUndeliverable|DB(Connection)?Error|"
        r"Connect(ion)?(Failure|Timeout|Failed|Error|Refused)|ServiceUnavailable|service is unavailable|"
        r"PlacementAPI|RemoteError|AMQP",
        reason="ServiceAway",
    ),
    Row(
        "403",
        base.Unauthorized,
        "The cloud does not give apisvc the right to do this.",
        statuses=(403,),
    ),
    Row("404", base.NotFound, "The cloud does not find it: {detail}", statuses=(404,)),
    Row(
        "409",
        base.InProgress,
        "The cloud is still busy with it.",
        statuses=(409,),
    ),
    Row("504 and 408", base.Timeout, "The cloud did not answer in time.", statuses=(408, 504)),
    Row(
        "405, 406, 501: the cloud is too old, or has this switched off",
        base.InvalidSpec,
        "The cloud cannot do this: {detail}",
        statuses=(405, 406, 501),
    ),
    Row("any other 4xx", base.InvalidSpec, "The cloud refuses this: {detail}", statuses=_CLIENT),
    Row("any other 5xx", base.Unavailable, "The cloud fails.", statuses=tuple(range(500, 600))),
)


def translated(error: Exception) -> base.DriverError | None:
    """``error`` of the SDK in the contract's words; None when it is not known."""
    answer = _answer(error)
    found = _row(answer)
    if found is None:
        return None
    LOG.debug("The cloud answered %s (%s): %s", answer.status, found.what, clean(answer.text))
    message = found.message.replace("{detail}", clean(answer.text) or "it does not say more.")
    return found.error(message, retry_after=answer.retry_after)


def login_helps(error: Exception) -> bool:
    """Whether it may be over once we log in anew."""
    found = _row(_answer(error))
    return found is not None and found.login


def of_server(code: int | None, text: str) -> Row | None:
    """The row for the fault of a server in state ERROR, by what the cloud says of it."""
    answer = Answer(status=code, text=text)
    return next((row for row in ROWS if row.text and row.matches(answer)), None)


def clean(text: str) -> str:
    """One sentence of the cloud, fit for tenants: no addresses, no paths, no request ids; at most 200 characters."""
    line = " ".join(text.split())
    line = re.sub(
        r"https?://\S+|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|(?<!\w)/[\w./-]+|\(?req-[0-9a-f-]+\)?", "...", line
    )
    line = re.sub(r"\b(Client|Server) Error for url: \S+\s*", "", line)
    return line if len(line) <= 200 else line[:197] + "..."


def rows() -> Iterator[tuple[str, str, str]]:
    """What the cloud answers, what that is in the contract's words, what tenants read; reStructuredText."""
    for row in ROWS:
        yield row.what, f"``{row.error.__name__}``", row.message.replace("{detail}", "...")


def _row(answer: Answer) -> Row | None:
    return next((row for row in ROWS if row.matches(answer)), None)


def _answer(error: Exception) -> Answer:
    status = getattr(error, "http_status", None) or getattr(error, "status_code", None)
    response: Any = getattr(error, "response", None)
    if status is None and response is not None:
        status = response.status_code
    kinds = frozenset(kind.__name__ for kind in type(error).__mro__)
    text = str(getattr(error, "details", None) or getattr(error, "message", None) or error)
    if status is not None:
        # An HTTP error of the SDK is an OSError of requests too; its class says nothing.
        kinds = frozenset()
    return Answer(kinds, status, text, _retry_after(response))


def _retry_after(response: Any) -> float | None:
    text = response.headers.get("Retry-After", "") if response is not None else ""
    # In its other form it is a date; then our own back-off does.
    return float(text) if text.isdecimal() and len(text) < 6 else None
