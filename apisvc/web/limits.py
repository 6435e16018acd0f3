"""How fast one tenant may ask."""

import threading
import time
from collections.abc import Callable

from apisvc import errors

#: Buckets kept at most; when there are more, the full ones are forgotten.
_KEPT = 10_000


class Limiter:
    """A token bucket for each key, in this process: ``rate`` a second, ``burst`` at once. Rate 0: no limit."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._now = now
        self._lock = threading.Lock()
        #: key -> (tokens, when counted)
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, key: str) -> None:
        """:raises TooManyRequests: the bucket is empty; Retry-After says when it is not."""
        if not self._rate:
            return
        with self._lock:
            now = self._now()
            tokens = self._tokens(key, now)
            if tokens < 1:
                raise errors.TooManyRequests(
                    f"More than {self._rate:g} requests a second; slow down.",
                    retry_after=(1 - tokens) / self._rate,
                )
            if key not in self._buckets and len(self._buckets) >= _KEPT:
                self._forget(now)
            self._buckets[key] = (tokens - 1, now)

    def _tokens(self, key: str, now: float) -> float:
        tokens, counted = self._buckets.get(key, (self._burst, now))
        return min(self._burst, tokens + (now - counted) * self._rate)

    def _forget(self, now: float) -> None:
        self._buckets = {
            key: bucket for key, bucket in self._buckets.items() if self._tokens(key, now) < self._burst
        }
