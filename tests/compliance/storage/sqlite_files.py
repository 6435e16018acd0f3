"""SQLite stores on a file of the test's own."""

import os
import tempfile
import unittest

from oslo_config import cfg

from apisvc.storage.sqlite import store


def open_store(path: str, **overrides: object) -> store.SqliteStore:
    """A store on ``path``, configured as the deployer would."""
    conf = cfg.ConfigOpts()
    conf.register_opts(store.SqliteStore.options(), group="sqlite")
    for name, value in {"path": path, **overrides}.items():
        conf.set_override(name, value, group="sqlite")
    return store.SqliteStore(conf.sqlite)


def new_path(case: unittest.TestCase) -> str:
    """A path in a folder that lives as long as the test."""
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return os.path.join(folder.name, "apisvc.sqlite")
