"""Asking Keystone about tokens: once for all who wait for the same answer, never for long."""

import collections
import dataclasses
import hashlib
import logging
import threading
import time
from collections.abc import Callable

import requests.exceptions
from keystoneauth1 import access, exceptions, session
from keystoneauth1.identity import v3
from oslo_config import cfg

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.service import breaker

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What Keystone says of a token."""

    user_id: str
    user_name: str
    roles: frozenset[str]
    #: Seconds since 1970.
    expires_at: float
    #: Of the whole system, and so of no project.
    system: bool = False
    project_id: str | None = None
    project_name: str | None = None
    project_domain: str | None = None


#: What a token is remembered by, so that no memory is full of tokens; and whether it may have expired.
Key = tuple[bytes, bool]


class Checks:
    """What Keystone says of tokens, remembered for ``cache_time``."""

    def __init__(
        self,
        conf: cfg.ConfigOpts.GroupAttr,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._keystone = Keystone(conf)
        self._timeout: float = conf.timeout
        self._cache_time: float = conf.cache_time
        self._cache_size: int = conf.cache_size
        self._clock = clock
        self._wall_clock = wall_clock
        self._breaker = breaker.Breaker(
            "Keystone", calls=conf.calls, failures=conf.failures, pause=conf.pause, clock=clock
        )
        self._lock = threading.Lock()
        #: Until when, and what; the last used at the end.
        self._known: collections.OrderedDict[Key, tuple[float, Told | None]]
        self._known = collections.OrderedDict()
        self._asked: dict[Key, breaker.Call[Told | None]] = {}

    def check(self, text: str, *, expired: bool = False, deadline: float) -> Told | None:
        """What a token stands for; None: it is not good.

        ``expired``: one is good for as long as Keystone tells of it.

        :raises AuthUnavailable: Keystone does not say, or not by ``deadline``.
        """
        key = hashlib.sha256(text.encode()).digest(), expired
        with self._lock:
            if key in self._known:
                until, known = self._known[key]
                if self._clock() < until:
                    self._known.move_to_end(key)
                    return known
                del self._known[key]
            call = self._asked.get(key)
            if call is None and deadline <= time.monotonic():
                raise _unavailable(None)
            if call is None:
                try:
                    call = self._breaker.start(lambda: self._ask(key, text))
                except errors.BackendUnavailable as error:
                    raise _unavailable(error.retry_after) from None
                self._asked[key] = call
        try:
            return call.result(min(deadline, time.monotonic() + self._timeout))
        except compute.DriverError as error:
            raise _unavailable(error.retry_after) from None

    def _ask(self, key: Key, text: str) -> Told | None:
        """Of Keystone itself; for a thread of the breaker's."""
        began = self._clock()
        try:
            told = self._keystone.validate(text, expired=key[1])
        except BaseException:
            with self._lock:
                del self._asked[key]
            raise
        with self._lock:
            del self._asked[key]
            self._remember(key, began, told)
        return told

    def _remember(self, key: Key, began: float, told: Told | None) -> None:
        lasts = self._cache_time
        if told is not None and not key[1]:
            lasts = min(lasts, told.expires_at - self._wall_clock())
        if lasts > 0:
            self._known[key] = began + lasts, told
            while len(self._known) > self._cache_size:
                self._known.popitem(last=False)


class Keystone:
    """The calls to Keystone itself, as the service's own user."""

    def __init__(self, conf: cfg.ConfigOpts.GroupAttr) -> None:
        self._conf = conf
        url = conf.auth_url.rstrip("/")
        self._url: str = url if url.endswith("/v3") else f"{url}/v3"
        self._lock = threading.Lock()
        self._session: session.Session | None = None

    def validate(self, text: str, *, expired: bool) -> Told | None:
        """:raises DriverError: Keystone does not say; the words of compute drivers are the breaker's, too."""
        try:
            answer = self._opened().get(
                f"{self._url}/auth/tokens",
                headers={"X-Subject-Token": text},
                params={"nocatalog": "1", **({"allow_expired": "1"} if expired else {})},
                raise_exc=False,
                log=False,
            )
            if answer.status_code == 200:
                return _told(answer)
            # 400: nothing that could be one.
            if answer.status_code in (400, 404):
                return None
            raise compute.Unavailable(
                f"it answered with {answer.status_code} about a token", retry_after=_wait(answer)
            )
        except compute.DriverError as error:
            LOG.warning("Keystone at %s: %s", self._url, error.message)
            raise
        except exceptions.Unauthorized as error:
            LOG.error("Keystone at %s refuses the login of [keystone]: %s", self._url, error.message)
            raise compute.Unauthorized("it refuses apisvc's own login") from None
        except (exceptions.ClientException, requests.exceptions.RequestException, OSError) as error:
            LOG.warning("Keystone at %s cannot be asked: %s", self._url, error)
            raise compute.Unavailable("it cannot be reached") from None

    def _opened(self) -> session.Session:
        # Not before the first request: gunicorn has forked by then.
        with self._lock:
            if self._session is None:
                self._session = self._open()
            return self._session

    def _open(self) -> session.Session:
        conf = self._conf
        login: v3.Auth
        if conf.application_credential_id:
            login = v3.ApplicationCredential(
                self._url,
                application_credential_id=conf.application_credential_id,
                application_credential_secret=conf.application_credential_secret,
            )
        else:
            login = v3.Password(
                self._url,
                username=conf.username,
                password=conf.password,
                user_domain_name=conf.user_domain_name,
                project_name=conf.project_name,
                project_domain_name=conf.project_domain_name,
            )
        certificate = (conf.certfile, conf.keyfile) if conf.keyfile else conf.certfile
        return session.Session(
            auth=login,
            verify=not conf.insecure and (conf.cafile or True),
            cert=certificate,
            timeout=conf.timeout,
            app_name="apisvc",
        )


def _unavailable(retry_after: float | None) -> errors.AuthUnavailable:
    return errors.AuthUnavailable(
        "Keystone does not say now whether this token is good; try again.", retry_after=retry_after or 1.0
    )


def _told(answer: requests.Response) -> Told:
    try:
        found = access.AccessInfoV3(answer.json(), "")
        expires = found.expires
        if expires is None:
            raise ValueError
        return Told(
            user_id=str(found.user_id),
            user_name=str(found.username),
            roles=frozenset(found.role_names or ()),
            expires_at=expires.timestamp(),
            system=bool(found.system_scoped),
            project_id=found.project_id,
            project_name=found.project_name,
            project_domain=found.project_domain_name,
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise compute.Unavailable("it answered with something that is no token of version 3") from None


def _wait(answer: requests.Response) -> float | None:
    try:
        return float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None
