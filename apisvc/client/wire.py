"""What goes over the wire and what comes back: URLs, bodies, and the meaning of failures."""

import dataclasses
import datetime
import email.utils
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Any

import requests
import urllib3

from apisvc.client import errors

REQUEST_ID = "X-OpenStack-Request-ID"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. ``body`` is decoded JSON, None when there is none."""

    status: int
    body: Any
    headers: Mapping[str, str]


def base_url(url: str) -> str:
    """``url`` as the root of a service: no trailing slash, no ``/v1``. ValueError says what is wrong."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        parts.port  # noqa: B018 (raises on a port that is none)
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:5000")
    if parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} has parts that the service's URL does not have (user, query or fragment)")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))


def path(*parts: str) -> str:
    """``/v1/...`` with every part made safe, so that a name cannot leave its place."""
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} is not an id or name")
    return "/v1/" + "/".join([urllib.parse.quote(part, safe="") for part in parts])


def relative(url: str, base: str) -> str:
    """Path and query of a ``next`` link below ``base``: the token goes to no other host."""
    parts = urllib.parse.urlsplit(url)
    prefix = urllib.parse.urlsplit(base).path
    tail = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
    return tail.removeprefix(prefix) if prefix and tail.startswith(prefix + "/") else tail


def query(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Query parameters: None is left out, a list is repeated, booleans in lower case."""
    pairs = []
    for name, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                pairs.append((name, str(item).lower() if isinstance(item, bool) else str(item)))
    return pairs


def decode(response: requests.Response, raw: bytes) -> Answer:
    """The answer in ``response`` with the body ``raw``, or the error that it is."""
    status = response.status_code
    media = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if status >= 400:
        raise refusal(_shown(response), status, response.reason, response.headers, raw)
    if status >= 300:
        where = response.headers.get("Location", "elsewhere")
        raise errors.BadAnswer(f"{_shown(response)} redirects to {where}; give that URL instead.")
    if not raw:
        return Answer(status, None, response.headers)
    if media != "application/json":
        raise errors.BadAnswer(
            f"{_shown(response)} answered {media or 'no content type'} where JSON was due; is it an apisvc?"
        )
    try:
        return Answer(status, json.loads(raw), response.headers)
    except ValueError as error:
        raise errors.BadAnswer(f"{_shown(response)} answered broken JSON: {error}") from None


def refusal(
    shown: str, status: int, reason: str, headers: Mapping[str, str], raw: bytes
) -> errors.ClientError:
    """The error that an answer of 400 or more is. ``shown``: whose answer. Names of headers in any case."""
    media = headers.get("Content-Type", "").split(";")[0].strip().lower()
    problem: dict[str, Any] = {}
    if media in ("application/problem+json", "application/json"):
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if isinstance(found, dict):
            problem = found
    if "code" not in problem and status not in (429, 502, 503, 504):
        return errors.BadAnswer(f"{shown} answered {status} {reason} without saying why; is it an apisvc?")
    problem.setdefault("request_id", headers.get(REQUEST_ID))
    problem.setdefault("detail", f"{shown} answered {status} {reason}.")
    return errors.from_problem(status, problem, retry_after(headers.get("Retry-After")))


def _shown(response: requests.Response) -> str:
    """The URL without its query, fit for a message."""
    return (response.url or "").split("?")[0]


def retry_after(value: str | None) -> float | None:
    """Seconds in a Retry-After header: a number or an HTTP date. None when absent or neither."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if then.tzinfo is None:  # "-0000": in UTC, but nobody says from where
        then = then.replace(tzinfo=datetime.UTC)
    return max(0.0, (then - datetime.datetime.now(datetime.UTC)).total_seconds())


def unreachable(error: Exception, base: str) -> errors.ClientError:
    """What an exception of requests or urllib3 means, as a sentence without their jargon."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        if isinstance(error, requests.ConnectTimeout):
            return errors.Unreachable(f"Cannot reach {base}: it does not accept connections.", sent=False)
        return errors.DeadlineExceeded(f"{base} did not answer in time.")
    chain = _chain(error)
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return errors.Unreachable(
                f"Cannot reach {base}: its certificate is not trusted ({link.verify_message}); "
                "name your CA's file with --cacert or APISVC_CACERT.",
                sent=False,
                permanent=True,
            )
        if isinstance(link, ssl.SSLError):
            return errors.Unreachable(
                f"Cannot reach {base}: TLS failed ({link.reason or link}); perhaps the URL should begin with http://.",
                sent=False,
                permanent=True,
            )
        if isinstance(link, socket.gaierror):
            return errors.Unreachable(f"Cannot reach {base}: no such host.", sent=False)
    sent = not any(isinstance(link, urllib3.exceptions.NewConnectionError) for link in chain)
    if isinstance(error, requests.exceptions.ProxyError):
        return errors.Unreachable(f"Cannot reach {base}: the proxy does not let us through.", sent=False)
    reason = next((link.strerror for link in chain if isinstance(link, OSError) and link.strerror), None)
    text = reason.lower() if reason else "the connection was cut before the answer was complete"
    return errors.Unreachable(f"Cannot reach {base}: {text}.", sent=sent)


def _chain(error: BaseException) -> list[BaseException]:
    """``error`` and what it stands for: causes, contexts and wrapped arguments."""
    found: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        link = todo.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            todo += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
    return found
