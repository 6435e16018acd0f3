"""The options of ``[etcd]``."""

import re

from oslo_config import cfg

_ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}/?")

OPTS = [
    cfg.ListOpt(
        "endpoints",
        default=["http://127.0.0.1:2379"],
        help="Client addresses of the members, with http:// or https://. Each is a failover target.",
    ),
    cfg.StrOpt("ca_file", help="Certificates of the authority that signed the members' (PEM)."),
    cfg.StrOpt("cert_file", help="Our own certificate, where etcd asks for one (PEM)."),
    cfg.StrOpt("key_file", help="The key of cert_file (PEM)."),
    cfg.StrOpt("user", help="User, where etcd's authentication is enabled."),
    cfg.StrOpt("password", secret=True, help="Password of the user."),
    cfg.StrOpt(
        "prefix", default="/apisvc", help="All keys are under this prefix. Each deployment needs its own."
    ),
    cfg.FloatOpt(
        "timeout", default=10.0, min=0.1, help="Seconds for a call that has no deadline of its own."
    ),
    cfg.FloatOpt(
        "attempt_timeout",
        default=2.0,
        min=0.1,
        help="Seconds to wait for one member before another is asked.",
    ),
]


def check(conf: cfg.ConfigOpts.GroupAttr) -> None:
    """ValueError unless the options make sense together."""
    if not conf.endpoints:
        raise ValueError("endpoints is empty; name at least one, as in http://127.0.0.1:2379")
    for endpoint in conf.endpoints:
        if not _ENDPOINT.fullmatch(endpoint):
            raise ValueError(
                f"endpoints: {endpoint!r} is no address; right would be https://etcd-1.example:2379"
            )
    if len({endpoint.split("://")[0] for endpoint in conf.endpoints}) > 1:
        raise ValueError("endpoints: either all are http:// or all are https://")
    if bool(conf.cert_file) != bool(conf.key_file):
        raise ValueError("cert_file and key_file go together")
    if (conf.ca_file or conf.cert_file) and conf.endpoints[0].startswith("http://"):
        raise ValueError("ca_file and cert_file are for https:// endpoints")
    if bool(conf.user) != bool(conf.password):
        raise ValueError("user and password go together")
    if not conf.prefix.strip("/"):
        raise ValueError("prefix is empty; each deployment needs one of its own")
