"""Options of ``[quota]``."""

from oslo_config import cfg

GROUP = cfg.OptGroup("quota", title="Quota of a new tenant")

OPTS = [
    cfg.IntOpt("instances", default=20, min=-1, help="Instances of a new tenant; -1 is unlimited."),
    cfg.IntOpt("vcpus", default=40, min=-1, help="Virtual CPUs of a new tenant; -1 is unlimited."),
    cfg.IntOpt("ram_mb", default=65536, min=-1, help="Memory of a new tenant in MiB; -1 is unlimited."),
    cfg.IntOpt("disk_gb", default=500, min=-1, help="Disk of a new tenant in GiB; -1 is unlimited."),
]
