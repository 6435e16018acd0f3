"""What is counted of the store, in prometheus_client's default registry. No label names a tenant or a key."""

import functools

import prometheus_client

CALLS = prometheus_client.Histogram(
    "apisvc_store_call_seconds",
    "Calls to the store, those that fail and those that are tried on several members included.",
    ["call"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
ERRORS = prometheus_client.Counter(
    "apisvc_store_call_errors_total",
    "Calls to the store, and watches of it, that ended with an error: conflict (a guard did not hold, and most are "
    "tried again), unavailable, compacted, lease_lost; invalid and bug are faults of apisvc or of the driver.",
    ["call", "kind"],
)
WATCH_LAG = prometheus_client.Histogram(
    "apisvc_store_watch_lag_seconds",
    "From the return of a commit of this process until a watch of this process had brought it; 0: it came before.",
    buckets=(0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class Mirror:
    """The figures of this process's mirror."""

    def __init__(self) -> None:
        self.revision = prometheus_client.Gauge(
            "apisvc_mirror_revision",
            "The commit up to which the mirror is complete; of several processes, of the one that is furthest behind.",
            multiprocess_mode="livemin",
        )
        self.records = prometheus_client.Gauge(
            "apisvc_mirror_records",
            "Records in the mirror; of several processes, of the largest.",
            multiprocess_mode="livemax",
        )
        self.bytes = prometheus_client.Gauge(
            "apisvc_mirror_bytes",
            "Bytes of the keys and values in the mirror; of several processes, of the largest.",
            multiprocess_mode="livemax",
        )
        self.age = prometheus_client.Gauge(
            "apisvc_mirror_age_seconds",
            "How old the mirror was when it last looked, which it does every few seconds; of several processes, "
            "of the oldest.",
            multiprocess_mode="livemax",
        )


@functools.cache
def mirror() -> Mirror:
    """Made when there is something to tell: a process without a mirror would count as one at revision 0."""
    return Mirror()
