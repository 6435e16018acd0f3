"""Options of ``[secrets]``."""

from oslo_config import cfg

GROUP = cfg.OptGroup("secrets", title="Encryption at rest")

OPTS = [
    cfg.StrOpt(
        "key_directory",
        default="$state_dir/keys",
        help="Folder of the keys that encrypt secrets in the store. All API and worker processes need the "
        "same keys. Made and rotated with 'apisvc-manage keys'.",
    ),
]
