"""What a worker counts, in prometheus_client's default registry. No label names a tenant."""

import prometheus_client

QUEUE = prometheus_client.Gauge(
    "apisvc_worker_queue_length",
    "Instances waiting for this worker or being worked on.",
    ["backend"],
    multiprocess_mode="livesum",
)
WAITED = prometheus_client.Histogram(
    "apisvc_worker_wait_seconds",
    "How long an instance that was due waited for a thread; grows when there are too few or they hang.",
    ["backend"],
)
LEASE = prometheus_client.Gauge(
    "apisvc_worker_lease_valid",
    "1 while this worker surely holds its lease; without one it does nothing.",
    multiprocess_mode="livesum",
)
TERMS = prometheus_client.Counter(
    "apisvc_worker_terms_total", "Leases begun. Each beyond the first means that one was lost."
)
CLAIMS = prometheus_client.Counter("apisvc_worker_claims_total", "Claims taken.")
PASSES = prometheus_client.Histogram(
    "apisvc_worker_pass_seconds",
    "One look at an instance and what followed, by the last step taken and how it ended.",
    ["step", "outcome"],
)
DRIVER_CALLS = prometheus_client.Histogram(
    "apisvc_worker_driver_call_seconds", "Driver calls.", ["backend", "call"]
)
DRIVER_ERRORS = prometheus_client.Counter(
    "apisvc_worker_driver_errors_total", "Driver calls that failed.", ["backend", "call", "code"]
)
HEALTHY = prometheus_client.Gauge(
    "apisvc_backend_healthy",
    "1 when the backend's last health check by this worker was good.",
    ["backend"],
    multiprocess_mode="livemostrecent",
)
ORPHANS = prometheus_client.Gauge(
    "apisvc_backend_orphans",
    "Objects that bear our owner tag and no instance or tombstone of ours; they are kept.",
    ["backend"],
    multiprocess_mode="livemostrecent",
)
COLLECTED = prometheus_client.Counter(
    "apisvc_worker_collected_total", "Outdated records deleted from the store.", ["kind"]
)
