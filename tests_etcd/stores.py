"""Stores on a cluster, each under a prefix of its own."""

import unittest
import uuid

from oslo_config import cfg

from apisvc.storage.etcd import driver, protocol


def options(**overrides: object) -> cfg.ConfigOpts.GroupAttr:
    """An ``[etcd]`` group."""
    conf = cfg.ConfigOpts()
    conf.register_opts(driver.EtcdStore.options(), group="etcd")
    for name, value in overrides.items():
        conf.set_override(name, value, group="etcd")
    return conf.etcd


def new_prefix() -> str:
    return f"/test/{uuid.uuid4()}"


def open_store(
    case: unittest.TestCase,
    endpoints: list[str],
    prefix: str | None = None,
    kind: type[driver.EtcdStore] = driver.EtcdStore,
    **overrides: object,
) -> driver.EtcdStore:
    """A store that is closed at the end of the test."""
    store = kind(options(endpoints=endpoints, prefix=prefix or new_prefix(), **overrides))
    case.addCleanup(store.close)
    return store


def remove_everything(endpoints: list[str], prefix: str) -> None:
    """So that no lease of one test changes anything in a later one."""
    etcd = protocol.load()
    start = f"{prefix}/".encode()
    everything = etcd.DeleteRangeRequest(key=start, range_end=start + b"\xff")
    request = etcd.TxnRequest(success=[etcd.RequestOp(request_delete_range=everything)])
    store = driver.EtcdStore(options(endpoints=endpoints, prefix=prefix))
    try:
        store.client.call("KV/Txn", request, deadline=None, repeatable=True)
    finally:
        store.close()
