"""Options of ``[token]``: the built-in authentication driver."""

from oslo_config import cfg

GROUP = cfg.OptGroup("token", title="Tokens of apisvc's own")

OPTS = [
    cfg.IntOpt(
        "lifetime",
        default=7776000,
        min=60,
        help="Seconds until a new token expires when the request names no expiry.",
    ),
    cfg.IntOpt(
        "max_lifetime", default=31536000, min=60, help="Longest lifetime in seconds that may be asked for."
    ),
    cfg.IntOpt(
        "use_interval",
        default=300,
        min=1,
        help="Seconds for which 'last_used_at' of a token may lag behind its use; a use is noted at most "
        "once in this time, and not in the request itself.",
    ),
]
