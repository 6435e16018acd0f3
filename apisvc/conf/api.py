"""Options of ``[api]``."""

from oslo_config import cfg

GROUP = cfg.OptGroup("api", title="The HTTP side")

OPTS = [
    cfg.ListOpt(
        "routes",
        default=["admin", "tenant", "user"],
        help="Route packages to load, by entry-point name in the group apisvc.routes.v1.",
    ),
    cfg.FloatOpt(
        "request_timeout",
        default=10.0,
        min=0.1,
        help="Seconds after which a request that waits for the store or a backend is answered with 503.",
    ),
    cfg.IntOpt("max_body_bytes", default=262144, min=1024, help="Largest request body that is read."),
    cfg.IntOpt("default_limit", default=100, min=1, help="Items on a page when the request names no limit."),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Most items on a page."),
    cfg.IntOpt(
        "max_streams",
        default=16,
        min=1,
        help="Open streams (event feeds, followed logs) in one process. Each holds a thread of gunicorn, so this "
        "must be less than its threads: the others serve all other requests.",
    ),
    cfg.IntOpt("max_streams_per_tenant", default=8, min=1, help="Open streams of one tenant in one process."),
    cfg.FloatOpt(
        "heartbeat", default=10.0, min=0.1, help="Seconds between the heartbeats of a quiet stream."
    ),
    cfg.FloatOpt(
        "rate_limit",
        default=0.0,
        min=0.0,
        help="Requests a second of one tenant (outside tenants: of one user) in one process; beyond it they "
        "are answered with 429. 0 is no limit.",
    ),
    cfg.IntOpt(
        "rate_burst", default=50, min=1, help="Requests that may come at once before rate_limit counts."
    ),
    cfg.IntOpt("max_headers", default=100, min=10, help="Most header fields of a request."),
    cfg.ListOpt(
        "cors_origins",
        default=[],
        help="Origins (https://console.example.org) whose pages may call the API from a browser; '*' is any.",
    ),
    cfg.BoolOpt("access_log", default=True, help="Log a line for each request, at level INFO."),
    cfg.BoolOpt(
        "docs", default=True, help="Serve the API's documentation at /docs; the OpenAPI document always is."
    ),
]
