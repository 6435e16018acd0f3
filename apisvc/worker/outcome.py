"""What becomes of an instance's status: after a look, after a fault. Pure."""

import logging
import random

import msgspec

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import instances
from apisvc.model.instances import Instance, State, Status
from apisvc.worker import decide, table

LOG = logging.getLogger(__name__)

#: Tries of a retryable fault after which the state is ``error``. Until then the
#: instance stays in the state it was in, with the fault beside it: a hiccup of
#: a backend is no reason to alarm anybody. The tries go on either way.
PATIENCE = 5

#: What tenants read of a DriverBug. The rest is in the log.
BUG_MESSAGE = "The backend's driver met something it does not know; the operators can see it in their log."


class Rates(msgspec.Struct, frozen=True):
    """How fast retryable faults are tried again, in seconds."""

    first: float = 1.0
    longest: float = 300.0

    def pause(self, attempts: int, fault: compute.DriverError) -> float:
        """The pause after the ``attempts``-th failure: exponential, with jitter, at least ``retry_after``."""
        # Bugs and refusals do not mend themselves in a second.
        slow = isinstance(fault, compute.DriverBug) or not fault.retryable
        longest = min(self.longest, self.first * 2 ** min(attempts - 1 + (4 if slow else 0), 30))
        return max(random.uniform(longest / 2, longest), fault.retry_after or 0.0)


def seen(status: Status, observed: compute.Observed | None) -> Status:
    """``status`` with what the backend shows."""
    if observed is None:
        return msgspec.structs.replace(status, node=None, addresses=(), handle=None)
    fields = {
        "spec_hash": observed.tag.spec_hash,
        "handle": observed.handle,
        "node": observed.node,
        "addresses": tuple(observed.addresses),
        "exit_code": observed.exit_code,
        "restarts": observed.restarts,
        "started_at": observed.started_at or status.started_at,
        "finished_at": observed.finished_at,
        "reason": observed.reason,
        "message": observed.message,
    }
    return msgspec.structs.replace(status, **fields)


def stamped(before: Status, after: Status, now: float) -> Status:
    """``after`` with the time of the look, if it says anything new; else ``before`` itself."""
    if after == before:
        return before
    return msgspec.structs.replace(after, observed_at=now)


def intent(instance: Instance, observed: compute.Observed | None, state: State, now: float) -> Status:
    """Before the backend is touched: the state says what is about to be done.

    What was seen is kept with it: ``started_at`` tells later whether a run that
    has ended is the one from before.
    """
    status = instance.status if observed is None else seen(instance.status, observed)
    return stamped(instance.status, msgspec.structs.replace(status, state=state), now)


def waiting(instance: Instance, observed: compute.Observed | None, state: State, now: float) -> Status:
    """The backend is at it: no fault any more, and what it says on the way."""
    status = seen(instance.status, observed) if observed else instance.status
    return stamped(instance.status, msgspec.structs.replace(status, state=state, fault=None, retry=None), now)


def settled(
    instance: Instance, observed: compute.Observed | None, decision: decide.Decision, now: float
) -> Status:
    """Nothing more to do for this generation."""
    if observed is not None and observed.phase is compute.Phase.UNKNOWN:
        return stamped(instance.status, _reason_of(instance.status, observed), now)
    status = seen(instance.status, observed)
    if observed is None:
        # A run that has ended: how it ended stays known.
        status = msgspec.structs.replace(status, reason="Gone", message="The backend no longer has it.")
    fault = None
    if decision.state is State.ERROR:
        fault = instances.Fault(
            code="failed",
            message=(observed.message or observed.reason if observed else "") or "The backend gave up on it.",
            retryable=False,
            at=now,
        )
        fault = _same_or_new(instance.status.fault, fault)
    return stamped(
        instance.status,
        msgspec.structs.replace(
            status,
            state=decision.state,
            fault=fault,
            retry=None,
            observed_generation=instance.generation,
            # What was outstanding is done, or void since it is at rest.
            reboots=max(instance.spec.reboots, status.reboots),
        ),
        now,
    )


def failed(instance: Instance, state: State, error: compute.DriverError, rates: Rates, now: float) -> Status:
    """A driver call failed while the instance was in (or on its way to) ``state``."""
    before = instance.status
    deleting = instance.deleted_at is not None
    fresh = before.retry is None or before.retry.generation != instance.generation
    attempts = 1 if fresh or before.retry is None else before.retry.attempts + 1
    retry = None
    if error.retryable or deleting:
        pause = rates.pause(attempts, error)
        retry = instances.Retry(
            attempts=attempts, next_at=now + pause, pause=pause, generation=instance.generation
        )
    if not deleting and (not error.retryable or attempts >= PATIENCE):
        state = State.ERROR
    fault = instances.Fault(code=error.code, message=_message(error), retryable=error.retryable, at=now)
    return msgspec.structs.replace(
        before,
        state=state,
        fault=fault,
        retry=retry,
        observed_generation=before.observed_generation if retry else instance.generation,
    )


def differs(instance: Instance, observed: compute.Observed | None) -> bool:
    """Does a settled instance's status not say what a look has shown?"""
    decision = decide.decide(instance, observed, decide.BackendSituation(), now=0.0)
    if decision.step is table.Step.HOLD:
        return False
    return decision.step is not table.Step.SETTLE or (
        settled(instance, observed, decision, now=0.0) != instance.status
    )


def as_driver_error(error: Exception) -> compute.DriverError:
    """``error`` if it is of the closed set (or a failure of our own that passes); else a DriverBug, logged."""
    if isinstance(error, compute.DriverError):
        return error
    if isinstance(error, errors.Unavailable):
        return compute.Unavailable(error.detail, retry_after=error.retry_after)
    LOG.error("A driver raised what it must not raise.", exc_info=error)
    return compute.DriverBug(BUG_MESSAGE)


def _message(error: compute.DriverError) -> str:
    return BUG_MESSAGE if isinstance(error, compute.DriverBug) else error.message


def _same_or_new(before: instances.Fault | None, now: instances.Fault) -> instances.Fault:
    if before and (before.code, before.message) == (now.code, now.message):
        return before
    return now


def _reason_of(status: Status, observed: compute.Observed) -> Status:
    return msgspec.structs.replace(status, reason=observed.reason, message=observed.message)
