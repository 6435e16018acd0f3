"""Options of ``[storage]``."""

from oslo_config import cfg

GROUP = cfg.OptGroup("storage", title="The store")

OPTS = [
    cfg.StrOpt(
        "driver",
        default="sqlite",
        help="Storage driver, by entry-point name in the group apisvc.storage. Its options are in the group "
        "of the same name.",
    ),
    cfg.StrOpt(
        "mirror",
        default="auto",
        choices=[
            ("auto", "where each read of the store would be a call over the network"),
            ("on", "always"),
            ("off", "never"),
        ],
        help="Whether API processes keep a copy of the store in memory and read from that. Reads are as current "
        "as without it.",
    ),
    cfg.FloatOpt(
        "max_stale",
        default=60.0,
        min=0.0,
        help="Seconds that an answer may be old which is read while the store is out of reach, by clients that "
        "ask for such (Cache-Control: max-stale). This long a token is still good that was revoked meanwhile. "
        "Needs the mirror; 0: never.",
    ),
]
