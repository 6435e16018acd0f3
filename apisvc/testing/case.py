"""What the shipped suites are made of."""

import unittest
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

if TYPE_CHECKING:
    Case = unittest.TestCase
else:
    # Mix-ins: were they TestCases, every module that imports one would run it.
    Case = object


def group(driver: Any, name: str, **options: Any) -> cfg.ConfigOpts.GroupAttr:
    """The option group ``[name]`` of a driver class; ``options`` are those that are not the default."""
    conf = cfg.ConfigOpts()
    conf.register_group(cfg.OptGroup(name))  # a driver may have no options
    conf.register_opts(driver.options(), group=name)
    conf(args=[], default_config_files=[], default_config_dirs=[])
    for option, value in options.items():
        conf.set_override(option, value, group=name)
    made: cfg.ConfigOpts.GroupAttr = conf[name]
    return made
