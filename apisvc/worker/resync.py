"""One backend compared with the store, again and again: what changed behind our back, and what is not ours.

Of all workers that have the backend, one does this (rendezvous hashing).
"""

import dataclasses
import logging
import threading
import time

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, codec, events, instances, keys
from apisvc.service import transaction
from apisvc.worker import measuring, membership, metrics, outcome, reconcile, steps, view
from apisvc.worker import site as sites

LOG = logging.getLogger(__name__)

#: Looks that may fail to come until a health record no longer speaks of the present.
MISSED_LOOKS = 3
#: Seconds from one look to the next at least, however often the backend says that anything may have changed.
BETWEEN_LOOKS = 1.0
#: Seconds until a cut watch of the backend is opened again: the first and the longest pause.
WATCH_BACKOFF = (0.2, 30.0)


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """What one look at a backend has found."""

    healthy: bool
    version: str = ""
    detail: str = ""
    capacity: backends.Capacity | None = None
    #: Those that the worker knows of.
    instances: int = 0


class Resync:
    """A thread each: the periodic comparison, and where the driver has Watch the ear, has Nodes the measuring."""

    def __init__(
        self,
        site: sites.Site,
        transactor: transaction.Transactor,
        members: membership.Membership,
        known: view.View,
        ran: steps.Steps,
        interval: float,
        capacity_interval: float,
    ) -> None:
        self._site = site
        self._transactor = transactor
        self._members = members
        self._view = known
        self._steps = ran
        self._interval = interval
        self._stop = threading.Event()
        self._due = threading.Event()
        self._orphans: set[str] = set()
        #: Store revision and sight of each instance, where the two said the same.
        self._agreed: dict[str, tuple[int, compute.Observed | None]] = {}
        self._threads = [threading.Thread(target=self._run, name=f"resync {site.name}", daemon=True)]
        if isinstance(site.driver, compute.Watch):
            listen = threading.Thread(target=self._listen, name=f"listen {site.name}", daemon=True)
            self._threads.append(listen)
        self._measuring = measuring.Measuring(site, transactor.clock, self._is_ours, capacity_interval)
        if isinstance(site.driver, compute.Nodes):
            measure = threading.Thread(
                target=self._measuring.run, args=(self._stop,), name=f"measure {site.name}", daemon=True
            )
            self._threads.append(measure)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def soon(self) -> None:
        """Look at everything now, and do not wait for the interval to end."""
        self._due.set()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()
        self._due.set()

    def join(self, deadline: float) -> None:
        """Wait for the threads, until an instant of ``time.monotonic()``."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    # The comparison

    def _run(self) -> None:
        pause = min(BETWEEN_LOOKS, self._interval)
        self._stop.wait(min(0.2, self._interval))
        while not self._stop.is_set():
            self._due.clear()
            try:
                self.look()
            except errors.ApisvcError as error:
                LOG.warning("Resync of %s: %s", self._site.name, error.detail)
            except Exception:
                LOG.exception("Resync of %s failed.", self._site.name)
            if not self._stop.wait(pause):
                self._due.wait(self._interval - pause)

    def look(self) -> None:
        """Once: health, then all that is there."""
        term = self._members.term
        if term is None or not self._is_ours():
            return
        # In this order: what the store says of an instance is older than the look.
        before = self._view.on(self._site.name)
        try:
            health = self._site.check()
            seen = self._site.look_at_all()
        except compute.DriverError as error:
            # Not listed in full: nothing is gone because of that.
            self._report(term, _Found(False, detail=error.message, instances=len(before)))
            return
        room = self._measuring.capacity
        self._report(term, _Found(True, health.version, health.detail, room, len(before)))
        agreed: dict[str, tuple[int, compute.Observed | None]] = {}
        for known in before:
            observed = seen.pop(known.instance.id, None)
            pair = (known.revision, observed)
            # PERF: most have not changed since the last comparison, on either side.
            if self._agreed.get(known.instance.id) != pair and self._differs(known.instance, observed):
                self._site.wake(known.key, force=True)
            else:
                agreed[known.instance.id] = pair
        self._agreed = agreed
        for observed in seen.values():
            self._stranger(term, observed)
        self._orphans &= seen.keys()
        metrics.ORPHANS.labels(self._site.name).set(len(self._orphans))

    def _is_ours(self) -> bool:
        """Whether it is this worker that looks at the backend, and the operator lets it be looked at."""
        mine = self._members.mine(f"backend {self._site.name}", self._site.name)
        return mine and self._operator() is not backends.BackendState.DISABLED

    def _differs(self, instance: instances.Instance, observed: compute.Observed | None) -> bool:
        """Would a pass find anything to do? What is in flight is looked at anyway."""
        if not reconcile.settled(instance):
            return False
        return outcome.differs(instance, observed)

    def _stranger(self, term: membership.Term, observed: compute.Observed) -> None:
        """An object with our owner tag of which the worker knows no instance. Ask the store itself."""
        tag = observed.tag
        tombstone_key = keys.join(keys.TOMBSTONES, tag.instance_id)
        home_key = keys.join(keys.INSTANCE_TENANTS, tag.instance_id)
        records = self._transactor.store.get([tombstone_key, home_key]).records
        if home_key in records:
            return
        if tombstone_key in records:
            self._clear(tag)
            return
        # Perhaps the store was restored from an older dump: what runs is kept.
        if tag.instance_id not in self._orphans:
            self._orphans.add(tag.instance_id)
            LOG.warning("Orphan on %s, kept: %s", self._site.name, tag)
            self._report_orphan(term, observed)

    def _clear(self, tag: compute.Tag) -> None:
        """Delete what is left of an instance that is gone; what does not succeed now does with a later look."""
        LOG.info("Deleting what is left of instance %s on %s.", tag.instance_id, self._site.name)
        try:
            self._site.call_apart(
                "delete",
                lambda deadline: self._site.driver.delete(tag.instance_id, tag.tenant_id, deadline=deadline),
            )
        except compute.DriverError as error:
            LOG.warning("What is left of instance %s stays: %s", tag.instance_id, error.message)

    def _report_orphan(self, term: membership.Term, observed: compute.Observed) -> None:
        tag = observed.tag

        def work(txn: transaction.Transaction) -> None:
            # An admin's event: the tenant may not exist.
            txn.event(
                "orphan.found",
                events.Target(kind="instance", id=tag.instance_id),
                backend=self._site.name,
                tag_tenant_id=tag.tenant_id,
                phase=observed.phase.value,
                handle=observed.handle,
                node=observed.node,
            )

        with self._steps.step("store.orphan"):
            self._transactor.transact(term.context(5.0), work)

    # Health

    def _operator(self) -> backends.BackendState:
        key = keys.join(keys.BACKENDS, self._site.name)
        record = self._transactor.store.get([key]).records.get(key)
        return codec.decode(record.value, backends.Backend).state if record else backends.BackendState.ENABLED

    def _report(self, term: membership.Term, seen: "_Found") -> None:
        healthy = seen.healthy
        metrics.HEALTHY.labels(self._site.name).set(healthy)
        key = keys.join(keys.BACKEND_HEALTH, self._site.name)

        def work(txn: transaction.Transaction) -> None:
            found = txn.read(key, backends.BackendHealth)
            before = found.value if found else None
            since = before.since if before and before.healthy == healthy else txn.now
            health = backends.BackendHealth(
                name=self._site.name,
                healthy=healthy,
                version=seen.version,
                detail=seen.detail,
                since=since,
                checked_at=txn.now,
                good_until=txn.now + MISSED_LOOKS * max(backends.HEALTH_EVERY, self._interval),
                seen_at=txn.now if healthy else before.seen_at if before else None,
                capacity=seen.capacity,
                instances=seen.instances,
            )
            if before and _says_the_same(before, health):
                if abs(txn.now - before.checked_at) >= backends.HEALTH_EVERY:  # a clock can be set back
                    txn.put(key, health)  # a sign of life, not a change: no event
                return
            txn.put(key, health)
            if before and _state(before) == _state(health):
                return  # what is free changes all the time, and is no news
            if before is None or before.healthy != healthy:
                how = "is healthy" if healthy else "fails"
                LOG.log(
                    logging.INFO if healthy else logging.WARNING,
                    "Backend %s %s: %s",
                    health.name,
                    how,
                    seen.detail,
                )
            txn.event(
                "backend.health",
                events.Target(kind="backend", id=self._site.name, name=self._site.name),
                before=found.revision if found else None,
                healthy=healthy,
                detail=seen.detail,
            )

        with self._steps.step("store.health"):
            self._transactor.transact(term.context(5.0), work)

    # The ear

    def _listen(self) -> None:
        driver = self._site.driver
        assert isinstance(driver, compute.Watch)
        pause = WATCH_BACKOFF[0]
        while not self._stop.is_set():
            reason = "the driver ended it"
            try:
                for instance_id in driver.watch(stop=self._stop):
                    pause = WATCH_BACKOFF[0]
                    self._heard(instance_id)
            except Exception as error:
                reason = outcome.as_driver_error(error).message
            if not self._stop.wait(pause):
                LOG.warning("The watch of backend %s was cut: %s", self._site.name, reason)
            pause = min(pause * 2, WATCH_BACKOFF[1])

    def _heard(self, instance_id: str) -> None:
        if instance_id:
            self._view.heard_of(instance_id)
            return
        self.soon()  # what was at rest may have changed, too, while nobody listened
        for known in self._view.on(self._site.name):
            if not reconcile.settled(known.instance):
                self._view.heard_of(known.instance.id)


def _state(health: backends.BackendHealth) -> tuple[bool, str, str]:
    return health.healthy, health.version, health.detail


def _says_the_same(before: backends.BackendHealth, after: backends.BackendHealth) -> bool:
    """All but the instants."""

    def timeless(health: backends.BackendHealth) -> backends.BackendHealth:
        room = health.capacity
        return msgspec.structs.replace(
            health,
            checked_at=0.0,
            good_until=None,
            seen_at=None,
            capacity=room and msgspec.structs.replace(room, at=0.0),
        )

    return timeless(before) == timeless(after)
