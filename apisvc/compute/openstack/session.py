"""HTTP to one cloud: every request ends by the deadline of the call that it is part of.

openstacksdk waits for ever by default, and its retries may repeat a POST whose
answer was lost, which makes twins. So the deadline is kept at the lowest
level, where it also holds for logging in, discovery and redirects; and only
what reads is repeated. Imported with the SDK, when a backend is first used.
"""

import threading
import time
from typing import Any

import requests
from keystoneauth1 import session as keystone

#: Answers that say nothing about the request itself.
_PASSING = frozenset({502, 503, 504})
_READS = frozenset({"GET", "HEAD"})
#: Seconds before a request is repeated.
_PAUSE = 0.5
#: Connections that are kept open to each service.
_POOL = 32


class Clock:
    """The deadline of the call that this thread is in."""

    def __init__(self, longest: float) -> None:
        #: Seconds that one answer may take.
        self.longest = longest
        self._local = threading.local()

    def set(self, deadline: float | None) -> float | None:
        """From now on (an instant of ``time.monotonic()``); the one before."""
        before: float | None = getattr(self._local, "deadline", None)
        self._local.deadline = deadline
        return before

    def left(self) -> float:
        """Seconds that the next answer may take; not positive: none."""
        deadline: float | None = getattr(self._local, "deadline", None)
        return self.longest if deadline is None else min(self.longest, deadline - time.monotonic())


class Transport(requests.Session):
    """Requests that end by the clock."""

    def __init__(self, clock: Clock, retries: int) -> None:
        super().__init__()
        self._clock = clock
        self._retries = retries
        for scheme in ("http://", "https://"):
            self.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_POOL))

    def request(self, method: Any, *args: Any, **kwargs: Any) -> requests.Response:
        tries = self._retries if method in _READS else 0
        while True:
            left = self._clock.left()
            if left <= 0:
                raise requests.exceptions.Timeout("no time is left for the request")
            kwargs["timeout"] = left
            try:
                response = super().request(method, *args, **kwargs)
            except requests.exceptions.ConnectionError:
                if tries <= 0 or self._clock.left() <= _PAUSE:
                    raise
            else:
                if response.status_code not in _PASSING or tries <= 0 or self._clock.left() <= _PAUSE:
                    return response
            tries -= 1
            time.sleep(_PAUSE)


class Session(keystone.Session):
    """A keystoneauth session on such a transport, which never logs what it carries."""

    def __init__(self, clock: Clock, retries: int, **kwargs: Any) -> None:
        kwargs.pop("timeout", None)
        super().__init__(session=Transport(clock, retries), **kwargs)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        # SECURITY: bodies bear user data and credentials.
        kwargs["log"] = False
        return super().request(*args, **kwargs)
