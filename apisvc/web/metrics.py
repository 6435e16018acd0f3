"""What Prometheus scrapes. No label bears a tenant, a user or an id."""

import os
import time
from typing import Any

import falcon
import prometheus_client
from prometheus_client import multiprocess

from apisvc import errors

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The numbers of one app. With ``PROMETHEUS_MULTIPROC_DIR`` set they are those of all its processes."""

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Histogram(
            "apisvc_request_seconds",
            "Time until the answer (of streams: its head), by operation and status.",
            ["operation", "status"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._store_errors = prometheus_client.Counter(
            "apisvc_store_errors",
            "Requests that failed because of the store, by the code answered.",
            ["code"],
            registry=self._registry,
        )
        self._streams = prometheus_client.Gauge(
            "apisvc_open_streams",
            "Streams open now.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._terminals = prometheus_client.Counter(
            "apisvc_terminals",
            "Terminals inside instances that ended, by why: exited, idle, longest, denied, gone or failed.",
            ["why"],
            registry=self._registry,
        )
        #: PERF: looking a child up by its labels costs as much as the rest.
        self._children: dict[tuple[str, Any], prometheus_client.Histogram] = {}

    def request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Count a request that is being answered."""
        key = (getattr(req.context, "operation", "none"), resp.status)
        child = self._children.get(key)
        if child is None:
            child = self._requests.labels(key[0], str(resp.status_code))
            self._children[key] = child
        child.observe(time.perf_counter() - req.context.started)

    def error(self, error: errors.ApisvcError) -> None:
        if isinstance(error, errors.StoreUnavailable | errors.Contention):
            self._store_errors.labels(error.code).inc()

    def streams(self, count: int) -> None:
        self._streams.set(count)

    def terminal(self, why: str) -> None:
        """Count a terminal that has ended."""
        self._terminals.labels(why).inc()

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = prometheus_client.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return prometheus_client.generate_latest(registry)
        # And those of the process itself: its memory and files, and of a worker that lives in it.
        return prometheus_client.generate_latest(self._registry) + prometheus_client.generate_latest()
