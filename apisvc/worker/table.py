"""The decide table: for every situation of an instance, the one row that says what to do.

It is data: :mod:`apisvc.worker.decide` reads it, the docs print it, and tests
hold that it is complete.
"""

import dataclasses
import enum
import functools
from collections.abc import Iterable, Iterator

from apisvc.compute.base import Phase
from apisvc.model import states
from apisvc.model.instances import State


class Desired(enum.StrEnum):
    """What the spec asks for, in one word."""

    RUNNING = "running"
    STOPPED = "stopped"
    REBOOT = "reboot"  # running, and a reboot is outstanding
    DELETED = "deleted"


class Step(enum.StrEnum):
    """What a worker does next."""

    ENSURE = "ensure"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    DELETE = "delete"
    WAIT = "wait"  # the backend is at it; look again soon
    SETTLE = "settle"  # nothing to do; record what was seen
    HOLD = "hold"  # something to do, but not now: see the gates
    LEAVE = "leave"  # not to be touched at all


#: The steps that call the driver to change something.
ACTS = frozenset({Step.ENSURE, Step.START, Step.STOP, Step.REBOOT, Step.DELETE})

#: In place of a phase: the backend has authoritatively no such object.
MISSING = None


@dataclasses.dataclass(frozen=True)
class Situation:
    desired: Desired
    state: State
    #: None: the object is not there.
    phase: Phase | None
    #: Does the object bear the hash of the present spec?
    same_spec: bool
    #: Is there a generation that was neither settled nor handed to the backend?
    #: Of an object that has exited only if this is the run that was known before.
    news: bool


@dataclasses.dataclass(frozen=True)
class Row:
    """``state`` None: it stays as it is."""

    desired: frozenset[Desired]
    states: frozenset[State]
    phases: frozenset[Phase | None]
    same_spec: frozenset[bool]
    news: frozenset[bool]
    step: Step
    state: State | None
    why: str

    def matches(self, situation: Situation) -> bool:
        return (
            situation.desired in self.desired
            and situation.state in self.states
            and situation.phase in self.phases
            and situation.same_spec in self.same_spec
            and situation.news in self.news
        )


_R, _S, _B = Desired.RUNNING, Desired.STOPPED, Desired.REBOOT
_KEPT = (_R, _S, _B)
_LATER = frozenset(State) - {State.PENDING}
_BUSY_LATER = states.BUSY - {State.PENDING}
_NOT_FINISHED = _LATER - {State.STOPPED}
_THERE = frozenset(Phase) - {Phase.DELETING}
_EITHER = (True, False)


def _row(
    desired: Iterable[Desired],
    phases: Iterable[Phase | None],
    step: Step,
    state: State | None,
    why: str,
    *,
    states: Iterable[State] = _LATER,
    same_spec: Iterable[bool] = (True,),
    news: Iterable[bool] = _EITHER,
) -> Row:
    return Row(
        frozenset(desired),
        frozenset(states),
        frozenset(phases),
        frozenset(same_spec),
        frozenset(news),
        step,
        state,
        why,
    )


_ALL_PHASES: frozenset[Phase | None] = frozenset(Phase) | {MISSING}

ROWS: tuple[Row, ...] = (
    # In every state
    _row(
        (Desired.DELETED,),
        _ALL_PHASES,
        Step.DELETE,
        State.DELETING,
        "DELETE was asked for; it goes on until the backend says that nothing is left",
        states=State,
        same_spec=_EITHER,
    ),
    _row(
        _KEPT,
        _ALL_PHASES,
        Step.ENSURE,
        State.BUILDING,
        "it is new to us; an object that is already there (a restored store) is adopted by its tag",
        states=(State.PENDING,),
        same_spec=_EITHER,
    ),
    # Not there
    _row(
        (_R,),
        (MISSING, Phase.DELETING),
        Step.SETTLE,
        State.STOPPED,
        "it had ended by itself; that its remains are cleared away does not run it again",
        states=(State.STOPPED,),
        same_spec=_EITHER,
        news=(False,),
    ),
    *[
        _row(desired, (phase,), step, State.BUILDING, why, states=states_, same_spec=_EITHER, news=news)
        for phase, step, why in (
            (MISSING, Step.ENSURE, "the backend does not have it (any more); it is made (again)"),
            (Phase.DELETING, Step.WAIT, "somebody takes it away behind our back; made again when it is gone"),
        )
        for desired, states_, news in (
            ((_S, _B), _LATER, _EITHER),
            ((_R,), _NOT_FINISHED, _EITHER),
            ((_R,), (State.STOPPED,), (True,)),
        )
    ],
    # There, of another spec
    _row(
        _KEPT,
        _THERE,
        Step.ENSURE,
        State.BUILDING,
        "the object is of another spec; it is changed or replaced",
        same_spec=(False,),
    ),
    # There, of this spec
    _row(_KEPT, (Phase.CREATING,), Step.WAIT, State.BUILDING, "the backend is making it"),
    _row(
        _KEPT,
        (Phase.UNKNOWN,),
        Step.SETTLE,
        None,
        "the backend cannot say how it is; nothing is concluded from that",
        states=states.STABLE,
        news=(False,),
    ),
    *[
        _row(
            _KEPT,
            (Phase.UNKNOWN,),
            Step.WAIT,
            None,
            "the backend cannot say how it is, so nothing is done until it can",
            states=states_,
            news=news,
        )
        for states_, news in ((states.STABLE, (True,)), (_BUSY_LATER, _EITHER))
    ],
    # ... and shall run
    _row((_R,), (Phase.RUNNING,), Step.SETTLE, State.ACTIVE, "it runs as asked"),
    _row((_R, _B), (Phase.STARTING,), Step.WAIT, State.STARTING, "the backend is starting it"),
    _row((_R, _B), (Phase.REBOOTING,), Step.WAIT, State.REBOOTING, "the backend is rebooting it"),
    _row((_R, _B), (Phase.STOPPING,), Step.WAIT, State.STARTING, "it is started when it has come to rest"),
    _row((_R, _B), (Phase.STOPPED,), Step.START, State.STARTING, "it is at rest and shall run"),
    _row(
        (_R,),
        (Phase.EXITED,),
        Step.SETTLE,
        State.STOPPED,
        "it ended by itself and its restart policy lets it rest",
        news=(False,),
    ),
    _row(
        (_R,),
        (Phase.EXITED,),
        Step.START,
        State.STARTING,
        "it had ended by itself and a start was asked for since",
        news=(True,),
    ),
    _row(
        (_R,),
        (Phase.FAILED,),
        Step.SETTLE,
        State.ERROR,
        "the backend gave up on it",
        news=(False,),
    ),
    _row(
        (_R,),
        (Phase.FAILED,),
        Step.ENSURE,
        State.BUILDING,
        "the backend had given up on it and something new was asked for since",
        news=(True,),
    ),
    _row(
        (_B,),
        (Phase.RUNNING, Phase.EXITED, Phase.FAILED),
        Step.REBOOT,
        State.REBOOTING,
        "a reboot is outstanding",
    ),
    # ... and shall rest
    _row(
        (_S,),
        (Phase.RUNNING, Phase.STARTING, Phase.REBOOTING),
        Step.STOP,
        State.STOPPING,
        "it runs and shall rest",
    ),
    _row((_S,), (Phase.STOPPING,), Step.WAIT, State.STOPPING, "the backend is bringing it to rest"),
    _row((_S,), (Phase.STOPPED, Phase.EXITED), Step.SETTLE, State.STOPPED, "it is at rest as asked"),
    _row(
        (_S,),
        (Phase.FAILED,),
        Step.SETTLE,
        State.ERROR,
        "the backend gave up on it",
        news=(False,),
    ),
    _row(
        (_S,),
        (Phase.FAILED,),
        Step.STOP,
        State.STOPPING,
        "the backend had given up on it; a stop was asked for since",
        news=(True,),
    ),
)


@functools.cache
def row(situation: Situation) -> Row:
    """The one row for it."""
    (found,) = [row for row in ROWS if row.matches(situation)]
    return found


def situations() -> Iterator[Situation]:
    """All there can be."""
    for desired in Desired:
        for state in State:
            for phase in [*Phase, MISSING]:
                for same_spec in _EITHER:
                    for news in _EITHER:
                        yield Situation(desired, state, phase, same_spec, news)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """When, step, state then, why: reStructuredText for the docs."""
    for row in ROWS:
        conditions = {
            "asked": _words(row.desired, Desired),
            "state": _words(row.states, State),
            "seen": _words(row.phases, [*Phase, MISSING]),
            "spec": _words(row.same_spec, _EITHER, {True: "the same", False: "another"}),
            "news": _words(row.news, _EITHER, {True: "yes", False: "no"}),
        }
        when = "; ".join(f"*{name}* {words}" for name, words in conditions.items() if words != "any")
        yield when, f"**{row.step}**", f"``{row.state}``" if row.state else "as it was", row.why


def _words(
    chosen: Iterable[object], everything: Iterable[object], names: dict[object, str] | None = None
) -> str:
    order, picked = list(everything), set(chosen)
    left_out = [item for item in order if item not in picked]
    if not left_out:
        return "any"

    def name(item: object) -> str:
        return (names or {}).get(item) or ("missing" if item is None else str(item))

    if len(left_out) < len(order) / 3:
        return "any but " + ", ".join(map(name, left_out))
    return ", ".join(name(item) for item in order if item in picked)
