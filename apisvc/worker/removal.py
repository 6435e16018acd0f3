"""Emptying tenants that are being removed: instances, then what the backends have of it, then its records."""

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, codec, instances, keys, tenants
from apisvc.storage import base as storage
from apisvc.worker import membership, queue, steps
from apisvc.worker import site as sites

if TYPE_CHECKING:  # a worker needs four of the services, not the import of all
    from apisvc.service import services as service_layer

LOG = logging.getLogger(__name__)

#: Seconds until the next try when something is left or failed: the first and the longest pause.
AGAIN = (0.2, 30.0)
#: Instances looked at in one scan.
PAGE = 500
#: Seconds for the transactions of one pass.
PASS_TIMEOUT = 30.0


class Removal:
    """A thread of its own; calls to a backend that hangs are left behind."""

    def __init__(
        self,
        services: "service_layer.Services",
        members: membership.Membership,
        site_by_name: Mapping[str, sites.Site],
        ran: steps.Steps,
    ) -> None:
        self._services = services
        self._store = services.store
        self._members = members
        self._sites = site_by_name
        self._steps = ran
        self._page = PAGE
        self._queue = queue.KeyQueue()
        self._removing: set[str] = set()
        self._tries: collections.Counter[str] = collections.Counter()
        self._thread = threading.Thread(target=self._run, name="tenant removal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new."""
        self._queue.close()

    def join(self, deadline: float) -> None:
        """Wait for the thread, until an instant of ``time.monotonic()``."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    # What the followers tell

    def listed(self, records: Mapping[str, storage.Record]) -> None:
        self._removing = set()
        for record in records.values():
            self._consider(keys.last(record.key), record.value)

    def changed(self, change: storage.Change) -> None:
        tenant_id = keys.last(change.key)
        self._consider(tenant_id, change.value)
        if change.value is None:
            for site in self._sites.values():
                site.doubt_tenant(tenant_id)

    def instance_gone(self, tenant_id: str) -> None:
        """Perhaps it was the tenant's last."""
        if tenant_id in self._removing:
            self._queue.add(tenant_id)

    def _consider(self, tenant_id: str, raw: bytes | None) -> None:
        if raw and codec.decode(raw, tenants.Tenant).state is tenants.TenantState.REMOVING:
            self._removing.add(tenant_id)
            self._queue.add(tenant_id)
        else:
            self._removing.discard(tenant_id)

    # The thread

    def _run(self) -> None:
        while (tenant_id := self._queue.take()) is not None:
            try:
                finished = self._pass(tenant_id)
            except errors.ApisvcError as error:
                LOG.warning("Removing tenant %s: %s", tenant_id, error.detail)
                finished = False
            except Exception:
                LOG.exception("Removing tenant %s failed.", tenant_id)
                finished = False
            finally:
                self._queue.done(tenant_id)
            if finished:
                self._tries.pop(tenant_id, None)
            else:
                self._queue.add(tenant_id, min(AGAIN[1], AGAIN[0] * 2 ** min(self._tries[tenant_id], 16)))
                self._tries[tenant_id] += 1

    def _pass(self, tenant_id: str) -> bool:
        """True: nothing more to do for us. Any worker can do any part of it at any time."""
        term = self._members.term
        if tenant_id not in self._removing:
            return True
        if term is None or not self._members.mine(f"tenant {tenant_id}"):
            return False
        if not self._emptied(term, tenant_id):
            return False
        left = [name for name, site in self._sites.items() if not self._forgotten(site, tenant_id)]
        if left:
            LOG.info("Tenant %s is still on %s.", tenant_id, ", ".join(left))
            return False
        with self._steps.step("store.tenant"):
            return self._services.tenants.finish_removal(term.context(PASS_TIMEOUT), tenant_id)

    def _emptied(self, term: membership.Term, tenant_id: str) -> bool:
        """Ask for the end of every instance; True when there is none."""
        prefix = keys.under(keys.INSTANCES, tenant_id)
        start: str | None = prefix
        empty = True
        while start is not None:  # all of them: the first may be stuck on a backend that does not answer
            page = self._store.scan(prefix, start=start, limit=self._page)
            for record in page.records:
                empty = False
                if codec.decode(record.value, instances.Instance).deleted_at is None:
                    self._end(term, tenant_id, keys.last(record.key))
            start = page.records[-1].key + "\x01" if page.more else None
        return empty

    def _end(self, term: membership.Term, tenant_id: str, instance_id: str) -> None:
        with contextlib.suppress(errors.NotFound), self._steps.step("store.tenant"):  # gone since the scan
            self._services.instances.delete(term.context(PASS_TIMEOUT), tenant_id, instance_id)

    def _forgotten(self, site: sites.Site, tenant_id: str) -> bool:
        """A backend that fails or is disabled keeps the tenant from being gone, and nothing else."""
        key = keys.join(keys.BACKENDS, site.name)
        record = self._store.get([key], deadline=time.monotonic() + PASS_TIMEOUT).records.get(key)
        if record and codec.decode(record.value, backends.Backend).state is backends.BackendState.DISABLED:
            return False
        try:
            gone = site.call_apart(
                "remove_tenant", lambda deadline: site.driver.remove_tenant(tenant_id, deadline=deadline)
            )
        except compute.DriverError as error:
            LOG.warning("Tenant %s on %s: %s", tenant_id, site.name, error.message)
            return False
        site.doubt_tenant(tenant_id)
        return gone
