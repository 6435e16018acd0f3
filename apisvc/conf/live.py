"""Options of ``[live]``: calls that the API makes to a backend itself (logs, nodes)."""

from oslo_config import cfg

GROUP = cfg.OptGroup("live", title="Calls from the API straight to a backend")

OPTS = [
    cfg.FloatOpt("timeout", default=5.0, min=0.1, help="Seconds after which such a call is given up."),
    cfg.IntOpt(
        "calls",
        default=8,
        min=1,
        help="Such calls to one backend that one process has under way at a time. Further ones are answered "
        "with 503 at once, so that a backend that hangs leaves the threads to the others.",
    ),
    cfg.IntOpt(
        "failures",
        default=5,
        min=1,
        help="Failures in a row after which a backend is not asked for a while; answered with 503 at once.",
    ),
    cfg.FloatOpt(
        "pause", default=5.0, min=0.0, help="Seconds until it is asked again, by one call at first."
    ),
]
