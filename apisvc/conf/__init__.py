"""The configuration: one module an option group, registered on a ConfigOpts that is passed around.

Each module has ``GROUP`` (an ``OptGroup``, or None for ``[DEFAULT]``) and
``OPTS``. Drivers bring their own options; ``plugins.py`` registers those.
"""

import copy
from collections.abc import Sequence
from types import ModuleType

from oslo_config import cfg

from apisvc.conf import api, auth, default, live, quota, secrets, storage, token, worker

MODULES: tuple[ModuleType, ...] = (default, api, auth, live, quota, secrets, storage, token, worker)


def new() -> cfg.ConfigOpts:
    """A ConfigOpts with all of apisvc's own options registered, nothing read yet."""
    conf = cfg.ConfigOpts()
    register(conf)
    return conf


def register(conf: cfg.ConfigOpts) -> None:
    for module in MODULES:
        # NOTE: A group holds the values set on it; without a copy all ConfigOpts share them.
        conf.register_opts(module.OPTS, group=copy.deepcopy(module.GROUP))


def list_opts() -> list[tuple[cfg.OptGroup | None, Sequence[cfg.Opt]]]:
    """For the sample file and the docs (entry-point group ``oslo.config.opts``)."""
    return [(module.GROUP, module.OPTS) for module in MODULES]
