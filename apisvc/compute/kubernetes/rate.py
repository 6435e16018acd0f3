"""The rate of requests of one backend, as Kubernetes' own clients limit it: a bucket of tokens."""

import threading
import time
from collections.abc import Callable

from apisvc.compute import base


class Bucket:
    """``burst`` tokens; ``qps`` new ones a second. Whoever takes one that is not there yet waits for it."""

    def __init__(
        self,
        qps: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._at = clock()

    def take(self, deadline: float) -> None:
        """Wait for a token.

        :raises RateLimited: there will be none before ``deadline``; none is taken.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
            self._at = now
            wait = max(0.0, (1.0 - self._tokens) / self._qps)
            if now + wait >= deadline:
                raise base.RateLimited(
                    "apisvc has more to ask of this cluster than its own limit (qps) lets it.",
                    retry_after=wait,
                )
            self._tokens -= 1.0
        if wait:
            self._sleep(wait)
