"""Options of ``[auth]``."""

from oslo_config import cfg

GROUP = cfg.OptGroup("auth", title="Authentication")

OPTS = [
    cfg.ListOpt(
        "drivers",
        default=["token"],
        help="Authentication drivers, tried in this order, by entry-point name in the group apisvc.auth.",
    ),
]
