"""Options of ``[worker]``."""

from oslo_config import cfg

GROUP = cfg.OptGroup("worker", title="Workers")

OPTS = [
    cfg.IntOpt(
        "processes",
        default=1,
        min=1,
        help="Processes of one apisvc-worker. They share the work, as workers on several hosts do.",
    ),
    cfg.IntOpt(
        "graceful_timeout",
        default=60,
        min=1,
        help="Seconds that a worker told to stop has to finish the driver calls under way.",
    ),
    cfg.IntOpt(
        "threads",
        default=8,
        min=1,
        help="Instances of each backend that a worker process acts on at a time.",
    ),
    cfg.IntOpt(
        "lease_ttl",
        default=10,
        min=2,
        help="Seconds after which the claims of a worker that has died or hangs are free for others.",
    ),
    cfg.FloatOpt("driver_timeout", default=30.0, min=0.1, help="Deadline of one driver call in seconds."),
    cfg.FloatOpt(
        "resync_interval",
        default=10.0,
        min=0.1,
        help="Seconds between looks at everything a backend has, which find what changed behind our back.",
    ),
    cfg.FloatOpt(
        "capacity_interval",
        default=60.0,
        min=0.1,
        help="Seconds between questions to a backend for what its nodes have free, for the choice of a backend.",
    ),
    cfg.FloatOpt(
        "retry_min", default=1.0, min=0.01, help="First pause before a retryable fault is tried again."
    ),
    cfg.FloatOpt("retry_max", default=300.0, min=0.01, help="Longest pause between such tries."),
    cfg.PortOpt(
        "metrics_port",
        help="Port on which Prometheus reads what this worker counts, at any path. The further of several "
        "processes take the ports behind it. Unset: it is not served.",
    ),
    cfg.StrOpt(
        "metrics_host",
        default="127.0.0.1",
        help="Address to serve them on. Whoever reaches it may read them: they name backends, never tenants.",
    ),
    cfg.IntOpt("events_keep", default=2592000, min=60, help="Seconds that events are kept."),
    cfg.IntOpt("replays_keep", default=86400, min=60, help="Seconds that an Idempotency-Key is remembered."),
    cfg.IntOpt(
        "tombstones_keep",
        default=604800,
        min=60,
        help="Seconds that ended instances are remembered, so "
        "that what still bears their id on a backend is known to be garbage.",
    ),
    cfg.IntOpt(
        "history_keep",
        default=3600,
        min=10,
        help="Seconds of the store's history that watches and event cursors can go back to.",
    ),
]
