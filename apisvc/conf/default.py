"""Options of ``[DEFAULT]``."""

from oslo_config import cfg

GROUP = None

OPTS = [
    cfg.StrOpt(
        "deployment",
        default="apisvc",
        regex=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        help="Name of this deployment. Every object made on a backend bears it as its owner, so two "
        "deployments that share a backend need different names. Do not change it while instances exist.",
    ),
    cfg.ListOpt(
        "enabled_backends",
        default=[],
        help="Names of the backends to serve. Each has a group of the same name with 'driver' and that driver's "
        "options. Of backends that are equally good for an instance, the first gets it.",
    ),
    cfg.ListOpt(
        "unserved_backends",
        default=[],
        help="Names of backends that may have instances although they are not in enabled_backends here: they are "
        "served by other workers, or lost for good. Without that, nothing starts that would leave instances alone. "
        "What is on them stays recorded, counts for quotas and is shown as stale.",
    ),
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/apisvc",
        regex="^/",
        help="Folder for what drivers and the embedded store keep on this host, as an absolute path: API and "
        "workers may be started in different places.",
    ),
]
