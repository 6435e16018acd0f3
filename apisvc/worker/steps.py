"""The one place through which a worker's store commits and driver calls pass, each with a name.

So a fault injector can say "before the third ``driver.ensure``", and metrics
know how long each took. See :mod:`apisvc.testing.faults`.
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol

#: Every name, with what it does; documentation and the crash tests iterate it.
NAMES: dict[str, str] = {
    "store.keep_alive": "the lease renewed",
    "store.join": "commit: a new lease and the worker's own record",
    "store.claim": "commit: take the claim and move the state, before the backend is touched",
    "store.progress": "commit: what was seen while the backend is still at it",
    "store.settle": "commit: the final state, and the claim released",
    "store.fault": "commit: the fault and when it is tried again, and the claim released",
    "store.remove": "commit: record, name and ledger given back, tombstone put, claim released",
    "store.release": "commit: the claim released and nothing else",
    "store.tenant": "commit: an instance of a tenant that is being removed is marked deleted",
    "store.health": "commit: what a backend's health check said",
    "store.orphan": "commit: the event that reports an object without an instance",
    "store.collect": "commit: a batch of garbage deleted",
    "driver.check": "driver call check",
    "driver.nodes": "driver call nodes",
    "driver.observe": "driver call observe",
    "driver.ensure_tenant": "driver call ensure_tenant",
    "driver.remove_tenant": "driver call remove_tenant",
    "driver.ensure": "driver call ensure",
    "driver.adopt": "driver call adopt",
    "driver.start": "driver call start",
    "driver.stop": "driver call stop",
    "driver.reboot": "driver call reboot",
    "driver.delete": "driver call delete",
}


class Hook(Protocol):
    """Told of every step. It may delay, raise, or end the process."""

    def before(self, name: str) -> None: ...

    def after(self, name: str) -> None: ...


class Steps:
    """Runs steps past the hook, if there is one."""

    def __init__(self, hook: Hook | None = None) -> None:
        self._hook = hook

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Around one commit or driver call. ``after`` is told only of what returned."""
        assert name in NAMES, name
        if self._hook is None:
            yield
            return
        self._hook.before(name)
        yield
        self._hook.after(name)
