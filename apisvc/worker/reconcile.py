"""One pass over one instance: read, look, decide, claim, act, commit; and again, until it settles or must wait."""

import logging
import time

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, codec, instances, keys, states, tenants
from apisvc.service import transaction, workloads
from apisvc.storage import base as storage
from apisvc.worker import commits, decide, membership, metrics, outcome, table
from apisvc.worker import site as sites

LOG = logging.getLogger(__name__)

#: Driver calls in one pass; a longer way is gone in several.
MAX_ACTS = 4
#: Seconds until the next pass: while there is no lease, after the store failed, after a fault of our own.
TERM_PAUSE = 0.2
STORE_PAUSE = 0.5
BUG_PAUSE = 5.0


class Reconciler:
    """Works instances of all sites; knows of nothing between passes but whether the store answered."""

    def __init__(
        self,
        transactor: transaction.Transactor,
        members: membership.Membership,
        commit: commits.Commits,
        rates: outcome.Rates,
    ) -> None:
        self._transactor = transactor
        self._members = members
        self._commit = commit
        self._rates = rates
        #: Whether the store fails, and the instant (``time.monotonic()``) from which on that is so.
        self._store_fails, self._store_since = False, 0.0

    def work(self, site: sites.Site, key: str) -> None:
        """A pass over the instance at the store key ``key``. Whatever goes wrong, it is worked again."""
        forced = site.take_force(key)
        term = self._members.term
        if term is None:
            site.wake(key, TERM_PAUSE, force=forced)
            return
        started = time.monotonic()
        step, result = "read", "done"
        try:
            step = self._pass(site, term, key, forced)
        except commits.Overtaken:
            result = "overtaken"
            site.wake(key, 0.01, force=forced)
        except storage.LeaseLost:
            term.lost = True
            result = "lease_lost"
            site.wake(key, TERM_PAUSE, force=forced)
        except errors.ApisvcError as error:
            if isinstance(error, errors.StoreUnavailable):
                self._heard_from_store(started, error.detail)
            else:
                LOG.warning("Instance %s: %s", keys.last(key), error.detail)
            result = "store"
            site.wake(key, STORE_PAUSE, force=forced)
        except Exception:
            LOG.exception("Instance %s: a pass failed", keys.last(key))
            result = "bug"
            site.wake(key, BUG_PAUSE, force=forced)
        if result == "done":
            self._heard_from_store(started)
        metrics.PASSES.labels(step, result).observe(time.monotonic() - started)

    def _heard_from_store(self, started: float, trouble: str = "") -> None:
        """Say once that the store fails, and once that it is back, not for each instance that waits for it.

        ``started``: when the pass began. One from before the last change knows nothing new.
        """
        if bool(trouble) == self._store_fails or started <= self._store_since:
            return
        self._store_fails, self._store_since = bool(trouble), time.monotonic()
        if trouble:
            LOG.warning("Instances wait for the store: %s", trouble)
        else:
            LOG.info("The store is back; instances go on")

    def _pass(self, site: sites.Site, term: membership.Term, key: str, forced: bool) -> str:
        found = self._read(site, term, key)
        if found is None:
            return "read"
        held, operator, tenant = found
        if held.claim is None and not forced and not self._members.mine(held.instance.id, site.name):
            return "read"
        if held.claim is None and not forced and self._rests(site, held):
            return "rest"
        try:
            observed = self._look(site, held.instance, operator)
        except compute.DriverError as error:
            self._looking_failed(site, term, held, error)
            return "look"
        return self._converge(site, term, held, operator, tenant, observed)

    def _read(
        self, site: sites.Site, term: membership.Term, key: str
    ) -> tuple[commits.Held, backends.BackendState, tenants.Tenant | None] | None:
        """All that a pass needs, at one revision; None when there is nothing to do for us."""
        _, tenant_id, instance_id = key.split("/")
        claim_key = keys.join(keys.CLAIMS, instance_id)
        backend_key = keys.join(keys.BACKENDS, site.name)
        tenant_key = keys.join(keys.TENANTS, tenant_id)
        records = self._transactor.store.get([key, claim_key, backend_key, tenant_key]).records
        if key not in records:
            site.forget(key)
            return None
        claim = records.get(claim_key)
        if claim and codec.decode(claim.value, backends.Claim).worker_id != term.worker_id:
            return None  # we hear of it when the claim ends
        held = commits.Held(
            key,
            codec.decode(records[key].value, instances.Instance),
            records[key].revision,
            claim.revision if claim else None,
        )
        operator = backends.BackendState.ENABLED
        if backend_key in records:
            operator = codec.decode(records[backend_key].value, backends.Backend).state
        tenant = records.get(tenant_key)
        return held, operator, codec.decode(tenant.value, tenants.Tenant) if tenant else None

    def _rests(self, site: sites.Site, held: commits.Held) -> bool:
        """Is there nothing to do that we would know of without looking? Sees to it that a retry comes."""
        instance, status = held.instance, held.instance.status
        if status.retry and status.retry.generation == instance.generation:
            left = status.retry.left(self._transactor.clock.now())
            if left:
                site.wake(held.key, left)
            return left > 0
        return settled(instance)

    def _look(
        self, site: sites.Site, instance: instances.Instance, operator: backends.BackendState
    ) -> compute.Observed | None:
        if operator is backends.BackendState.DISABLED or not decide.needs_look(instance):
            # PERF: ensure and delete look by themselves.
            return None
        return site.look(instance.id)

    def _looking_failed(
        self, site: sites.Site, term: membership.Term, held: commits.Held, error: compute.DriverError
    ) -> None:
        """Nobody knows how it is: so nothing is concluded, and only who waits for something is told."""
        if isinstance(error, compute.InProgress):
            site.look_again(held.key, error.retry_after or 0.0, told=False)
        elif held.claim is None and settled(held.instance):
            LOG.debug("Backend %s cannot be looked at: %s", site.name, error.message)
        else:
            self._fault(site, term, held, held.instance.status.state, error)

    def _converge(
        self,
        site: sites.Site,
        term: membership.Term,
        held: commits.Held,
        operator: backends.BackendState,
        tenant: tenants.Tenant | None,
        observed: compute.Observed | None,
    ) -> str:
        for _ in range(MAX_ACTS):
            now = self._transactor.clock.now()
            situation = decide.BackendSituation(operator, site.handed(held.key))
            decision = decide.decide(held.instance, observed, situation, now)
            if decision.step not in table.ACTS:
                self._rest(site, term, held, observed, decision, now)
                return decision.step
            intent = outcome.intent(held.instance, observed, decision.state, now)
            self._commit.claim(term, held, intent, decision.why)
            if not term.valid:
                raise storage.LeaseLost
            try:
                if decision.step is table.Step.DELETE:
                    self._delete(site, term, held)
                    return decision.step
                observed = self._act(site, held, decision.step, tenant)
            except compute.InProgress as error:
                site.look_again(held.key, error.retry_after or 0.0, told=False)
                return decision.step
            except compute.DriverError as error:
                self._fault(site, term, held, decision.state, error)
                return decision.step
        site.look_again(held.key)
        return "look"

    def _rest(
        self,
        site: sites.Site,
        term: membership.Term,
        held: commits.Held,
        observed: compute.Observed | None,
        decision: decide.Decision,
        now: float,
    ) -> None:
        """No act: the backend is at it, or there is nothing (now) to do."""
        if decision.step is table.Step.WAIT:
            status = outcome.waiting(held.instance, observed, decision.state, now)
            self._commit.record("store.progress", term, held, status, decision.why, release=False)
            site.look_again(held.key)
            return
        status = held.instance.status
        if decision.step is table.Step.SETTLE:
            status = outcome.settled(held.instance, observed, decision, now)
            site.forget(held.key)
        elif decision.until is not None:
            site.wake(held.key, max(0.0, decision.until - now))
        self._commit.record("store.settle", term, held, status, decision.why, release=True)

    def _act(
        self, site: sites.Site, held: commits.Held, step: table.Step, tenant: tenants.Tenant | None
    ) -> compute.Observed | None:
        """The driver call of ``step``; what the backend shows then. None: it is not there (any more)."""
        instance, driver = held.instance, site.driver
        if tenant is None:
            raise compute.NotFound("The tenant's record is gone.")
        try:
            workload = workloads.workload(instance, tenant, self._transactor.secrets)
        except errors.ApisvcError as error:  # a key of the secrets is missing on this host
            raise outcome.as_driver_error(error) from error
        if step is table.Step.ENSURE or not isinstance(driver, compute.Power):
            # A driver without Power has one call for everything.
            step = table.Step.ENSURE
            try:
                site.ensure_tenant(workload.tenant)
                observed = self._ensure(site, instance, workload)
            except compute.DriverError:
                site.doubt_tenant(workload.tenant.id)
                raise
        else:
            change = {
                table.Step.START: driver.start,
                table.Step.STOP: driver.stop,
                table.Step.REBOOT: driver.reboot,
            }[step]
            try:
                observed = site.call(step.value, lambda deadline: change(workload, deadline=deadline))
            except compute.NotFound:
                return None  # it went away since the look
        told = observed.reboots is not None and step is table.Step.ENSURE
        before = site.handed(held.key).reboots
        reboots = instance.spec.reboots if step in _BRINGS_REBOOTS and not told else before
        site.hand(held.key, decide.Handed(instance.generation, reboots))
        return observed

    @staticmethod
    def _ensure(
        site: sites.Site, instance: instances.Instance, workload: compute.Workload
    ) -> compute.Observed:
        """Make it or converge it; the first time of one that is to be adopted: take it under management."""
        driver = site.driver
        if not instance.adopting:
            return site.call("ensure", lambda deadline: driver.ensure(workload, deadline=deadline))
        if not isinstance(driver, compute.Adopt):
            raise compute.InvalidSpec("The backend's driver cannot adopt what others made.")
        handle = instance.spec.adopt
        return site.call("adopt", lambda deadline: driver.adopt(workload, handle, deadline=deadline))

    def _delete(self, site: sites.Site, term: membership.Term, held: commits.Held) -> None:
        instance = held.instance
        gone = site.call(
            "delete",
            lambda deadline: site.driver.delete(instance.id, instance.tenant_id, deadline=deadline),
        )
        if gone:
            self._commit.remove(term, held)
            site.forget(held.key)
        else:
            site.look_again(held.key)

    def _fault(
        self,
        site: sites.Site,
        term: membership.Term,
        held: commits.Held,
        state: instances.State,
        error: compute.DriverError,
    ) -> None:
        now = self._transactor.clock.now()
        LOG.info("Instance %s on %s: %s: %s", held.instance.id, site.name, error.code, error.message)
        status = outcome.failed(held.instance, state, error, self._rates, now)
        self._commit.record(
            "store.fault", term, held, status, f"the backend answered: {error.code}", release=True
        )
        site.forget(held.key)
        if status.retry:
            site.wake(held.key, status.retry.pause)


#: A new object is born with all reboots done.
_BRINGS_REBOOTS = (table.Step.ENSURE, table.Step.REBOOT)


def settled(instance: instances.Instance) -> bool:
    """Does the record itself say that there is nothing to do?"""
    status = instance.status
    return (
        instance.deleted_at is None
        and status.state in states.STABLE
        and status.observed_generation == instance.generation
        and status.retry is None
    )
