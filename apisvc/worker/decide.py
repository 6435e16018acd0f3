"""What to do about one instance: a pure function that reads a table.

:mod:`apisvc.worker.table` has exactly one row for every situation there can be;
the row names the step and the state. On top of the row come the :data:`GATES`:
reasons not to take the step now.

Nothing here knows the past: after a crash at any instant the next look at the
backend leads to the same row, or to a later one.
"""

import dataclasses
from collections.abc import Iterator

from apisvc.compute.base import Observed, Phase
from apisvc.model import states
from apisvc.model.backends import BackendState
from apisvc.model.instances import Instance, Power, State
from apisvc.worker import table
from apisvc.worker.table import Desired, Step

#: What may stand between a row's step and the taking of it; the first that applies.
GATES: tuple[tuple[str, Step, str], ...] = (
    ("the backend is disabled", Step.LEAVE, "an operator has disabled the backend; nothing on it is touched"),
    (
        "a retryable fault (or any fault of a DELETE), same generation, its time not yet come",
        Step.HOLD,
        "a fault is tried again at retry.next_at",
    ),
    (
        "a fault that is not retryable, same generation, no DELETE",
        Step.HOLD,
        "a fault waits for people: a new spec, an action, or DELETE",
    ),
)


@dataclasses.dataclass(frozen=True)
class Handed:
    """What this worker has already passed on to the backend; lost with the worker, which costs one repeat."""

    generation: int = 0
    reboots: int = 0


@dataclasses.dataclass(frozen=True)
class BackendSituation:
    """The backend as far as it matters to one instance."""

    state: BackendState = BackendState.ENABLED
    handed: Handed = Handed()


@dataclasses.dataclass(frozen=True)
class Decision:
    step: Step
    state: State
    why: str
    #: For HOLD: when (wall clock) it is tried again; None: when people have acted.
    until: float | None = None


def needs_look(instance: Instance) -> bool:
    """Does the row depend on what the backend shows?"""
    return instance.deleted_at is None and instance.status.state is not State.PENDING


def situation(instance: Instance, observed: Observed | None, handed: Handed) -> table.Situation:
    """What matters of it. ``observed`` None: authoritatively not there (or no look was needed)."""
    return table.Situation(
        desired=_desired(instance, observed, handed),
        state=instance.status.state,
        phase=observed.phase if observed else table.MISSING,
        same_spec=observed is not None and observed.tag.spec_hash == instance.spec.hash,
        news=_news(instance, observed, handed),
    )


def decide(instance: Instance, observed: Observed | None, backend: BackendSituation, now: float) -> Decision:
    """The row's step and state, unless a gate is in its way. Pure."""
    here = instance.status.state
    if backend.state is BackendState.DISABLED:
        return Decision(Step.LEAVE, here, GATES[0][2])
    found = table.row(situation(instance, observed, backend.handed))
    if found.step in table.ACTS:
        status = instance.status
        if status.retry and status.retry.generation == instance.generation and status.retry.left(now):
            return Decision(Step.HOLD, here, GATES[1][2], until=status.retry.next_at)
        if (
            instance.deleted_at is None
            and status.fault is not None
            and not status.fault.retryable
            and status.observed_generation == instance.generation
        ):
            return Decision(Step.HOLD, here, GATES[2][2])
    return Decision(found.step, found.state or here, found.why)


def _desired(instance: Instance, observed: Observed | None, handed: Handed) -> Desired:
    if instance.deleted_at is not None:
        return Desired.DELETED
    if instance.spec.power is Power.STOPPED:
        return Desired.STOPPED
    told = (observed.reboots if observed else None) or 0
    done = max(instance.status.reboots, handed.reboots, told)
    return Desired.REBOOT if instance.spec.reboots > done else Desired.RUNNING


def _news(instance: Instance, observed: Observed | None, handed: Handed) -> bool:
    status = instance.status
    if instance.generation in (status.observed_generation, handed.generation):
        return False
    if observed is None or observed.phase is not Phase.EXITED:
        return True
    # A run that began after the wish was passed on is the wish fulfilled,
    # even if the worker that passed it on has died since.
    if observed.started_at is None:
        return status.state in states.STABLE
    return observed.started_at == status.started_at


def rows() -> Iterator[tuple[str, str, str, str]]:
    """When, step, state then, why: the table and its gates, reStructuredText for the docs."""
    yield from table.rows()
    for when, step, why in GATES:
        yield f"before an act: {when}", f"**{step}**", "as it was", why


def as_markdown() -> str:
    """The same for everything else."""
    lines = ["| when | step | state then | because |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("``", "`") for cell in row) + " |" for row in rows()]
    return "\n".join(lines) + "\n"
