"""Options of ``[live]``: calls that the API makes to a backend itself (logs, exec, console, nodes, credentials)."""

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
    cfg.FloatOpt(
        "exec_timeout",
        default=60.0,
        min=1.0,
        help="Longest time in seconds that one request waits for a command inside an instance. It counts as an "
        "open stream ([api] max_streams) meanwhile.",
    ),
    cfg.IntOpt(
        "exec_output",
        default=262144,
        min=1024,
        help="Bytes of stdout, and of stderr, that the answer to such a request has at most.",
    ),
    cfg.FloatOpt(
        "terminal_idle",
        default=900.0,
        min=1.0,
        help="Seconds without input and output after which a terminal inside an instance is closed.",
    ),
    cfg.FloatOpt(
        "terminal_longest", default=14400.0, min=1.0, help="Seconds after which it is closed in any case."
    ),
    cfg.IntOpt(
        "credential_lifetime",
        default=3600,
        min=60,
        help="Seconds that a credential of a backend is good when the request names none.",
    ),
    cfg.IntOpt(
        "credential_max_lifetime",
        default=86400,
        min=60,
        help="Longest lifetime of a credential of a backend. Who leaves a tenant, or gets a lesser role there, "
        "keeps those issued before until they expire or are revoked.",
    ),
]
