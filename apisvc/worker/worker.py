"""A worker: everything of this room put together and run in threads."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from oslo_config import cfg

from apisvc.compute import base as compute
from apisvc.model import keys
from apisvc.storage import base as storage
from apisvc.worker import (
    collector,
    commits,
    feed,
    membership,
    outcome,
    reconcile,
    removal,
    resync,
    site,
    steps,
    view,
)

if TYPE_CHECKING:  # a worker needs four of the services, not the import of all
    from apisvc.service import services as service_layer

LOG = logging.getLogger(__name__)


class Worker:
    """Serves the loaded backends until stopped. Any number of them, anywhere, share the work.

    ``start`` returns at once and ``stop`` when everything in hand is finished (or
    its time is up), so it runs in a process of its own as well as beside the API.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        services: "service_layer.Services",
        backends: Mapping[str, compute.LoadedBackend],
        hook: steps.Hook | None = None,
    ) -> None:
        """``hook`` is told of every step: for fault injection."""
        options, transactor = conf.worker, services.transactor
        ran = steps.Steps(hook)
        self._threads_each = options.threads
        self._sites = {
            name: site.Site(loaded, ran, options.driver_timeout) for name, loaded in backends.items()
        }
        self.members = membership.Membership(transactor, ran, tuple(backends), options.lease_ttl, self._began)
        self.view = view.View(self._sites, self.members, transactor.clock)
        rates = outcome.Rates(options.retry_min, options.retry_max)
        self._reconciler = reconcile.Reconciler(
            transactor, self.members, commits.Commits(transactor, ran), rates
        )
        self._removal = removal.Removal(services, self.members, self._sites, ran)
        self._resyncs = [
            resync.Resync(
                each,
                transactor,
                self.members,
                self.view,
                ran,
                options.resync_interval,
                options.capacity_interval,
            )
            for each in self._sites.values()
        ]
        self._collector = collector.Collector(conf, transactor, self.members, ran)
        #: Held while it starts; after the end nothing begins.
        self._starting = threading.Lock()
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._followers = self._follow(transactor.store)

    def _follow(self, store: storage.Store) -> list[feed.Follower]:
        def workers_changed(*_: object) -> None:
            page = store.scan(keys.WORKERS)
            self.members.set_live(membership.workers({record.key: record for record in page.records}))
            self.view.reconsider()

        def claim_changed(change: storage.Change) -> None:
            if change.value is None:
                self.view.claim_ended(keys.last(change.key))

        def instance_changed(change: storage.Change) -> None:
            gone = self.view.changed(change)
            if gone is not None:
                self._removal.instance_gone(gone.tenant_id)

        return [
            feed.Follower(store, keys.WORKERS, workers_changed, workers_changed),
            feed.Follower(store, keys.INSTANCES, self.view.listed, instance_changed),
            feed.Follower(store, keys.CLAIMS, lambda records: self.view.reconsider(), claim_changed),
            feed.Follower(
                store,
                keys.BACKENDS,
                lambda records: self.view.reconsider(),
                lambda change: self.view.reconsider(keys.last(change.key)),
            ),
            feed.Follower(store, keys.TENANTS, self._removal.listed, self._removal.changed),
        ]

    def _began(self, term: membership.Term) -> None:
        """What could not be served without a term is looked at now."""
        self.view.reconsider()
        for resyncing in self._resyncs:
            resyncing.soon()

    def start(self) -> None:
        """Begin to serve; the store may still be out of reach. Nothing, if it has been stopped."""
        with self._starting:
            if not self._stopped:
                self._start()

    def _start(self) -> None:
        self.members.start()
        for follower in self._followers:
            follower.start()
        for each in self._sites.values():
            for number in range(self._threads_each):
                self._spawn(f"{each.name} {number}", each)
        for resyncing in self._resyncs:
            resyncing.start()
        self._removal.start()
        self._collector.start()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until it has a lease and has listed the store once."""
        end = time.monotonic() + timeout
        return self.members.wait_joined(timeout) and all(
            follower.wait_listed(max(0.0, end - time.monotonic())) for follower in self._followers
        )

    def stop(self, timeout: float = 30.0) -> None:
        """Take nothing new, finish what is in hand for up to ``timeout`` seconds, let go of all claims."""
        end = time.monotonic() + timeout
        with self._starting:  # who is told to end as soon as it lives is told so by another thread
            self._stopped = True
        for follower in self._followers:
            follower.stop()
        others: list[collector.Collector | removal.Removal | resync.Resync]
        others = [self._collector, self._removal, *self._resyncs]
        for other in others:
            other.stop()
        for each in self._sites.values():
            each.queue.close()
        for other in others:
            other.join(end)
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            LOG.warning("A driver call did not end in time; others take over what it was about.")
        # The claims are bound to the lease and go with it.
        self.members.stop()

    def _spawn(self, name: str, each: site.Site) -> None:
        thread = threading.Thread(target=self._serve, args=(each,), name=f"worker {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, each: site.Site) -> None:
        while (key := each.queue.take()) is not None:
            try:
                self._reconciler.work(each, key)
            finally:
                each.queue.done(key)
