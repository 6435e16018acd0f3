"""The instance state table: which state follows which, and why.

It is data: the docs print it (:func:`as_text`, :func:`as_markdown`,
:func:`as_dot`), and a test holds it beside what
:mod:`apisvc.worker.decide` really does.
"""

import dataclasses
from collections.abc import Iterator

from apisvc.model.instances import State

#: Not a state of a record: the record is gone.
GONE = "gone"

#: Nothing is under way; the next look may come from a periodic resync.
STABLE = frozenset({State.ACTIVE, State.STOPPED, State.ERROR})
#: A worker or the backend is busy with it.
BUSY = frozenset(State) - STABLE
#: Taken up by a worker, and not on its way out.
SERVED = frozenset(State) - {State.PENDING, State.DELETING}

MEANINGS: dict[str, str] = {
    State.PENDING: "accepted; no worker has taken it up yet",
    State.BUILDING: "being made, or made anew for another spec",
    State.ACTIVE: "runs as asked",
    State.STOPPING: "coming to rest as asked",
    State.STOPPED: "at rest: as asked, or because it ended by itself (exit_code says how)",
    State.STARTING: "on its way from rest to running",
    State.REBOOTING: "on its way through a reboot",
    State.DELETING: "being taken away; the quota is given back when the backend says it is gone",
    State.ERROR: "not as asked; the fault says why, and whether it goes back by itself",
    GONE: "no record; its id stays known to be garbage for a while",
}


@dataclasses.dataclass(frozen=True)
class Transition:
    """From any of ``sources`` to ``target``."""

    sources: frozenset[State]
    target: str
    why: str


def _later(target: State) -> frozenset[State]:
    return SERVED - {target}


TRANSITIONS: tuple[Transition, ...] = (
    Transition(frozenset({State.PENDING}), State.BUILDING, "a worker takes it up"),
    Transition(_later(State.BUILDING), State.BUILDING, "it has a new spec, or the backend has lost it"),
    Transition(_later(State.ACTIVE), State.ACTIVE, "the backend says that it runs with this spec"),
    Transition(_later(State.STOPPING), State.STOPPING, "a stop is asked for"),
    Transition(_later(State.STOPPED), State.STOPPED, "it is at rest as asked, or has ended by itself"),
    Transition(
        _later(State.STARTING), State.STARTING, "a start is asked for, or the backend starts it again"
    ),
    Transition(
        _later(State.REBOOTING),
        State.REBOOTING,
        "a reboot is asked for, or the backend is in the middle of one",
    ),
    Transition(
        _later(State.ERROR),
        State.ERROR,
        "the backend refused it or gave up, or a retryable fault has outlasted the first tries",
    ),
    Transition(frozenset(State) - {State.DELETING}, State.DELETING, "DELETE is asked for"),
    Transition(frozenset({State.DELETING}), GONE, "the backend says authoritatively that it is gone"),
)


def pairs() -> Iterator[tuple[State, str, str]]:
    """Every (source, target, why), in the order of the states."""
    for state in State:
        for transition in TRANSITIONS:
            if state in transition.sources:
                yield state, transition.target, transition.why


def allowed(source: State, target: State) -> bool:
    """May a record go from ``source`` to ``target``? Staying is always allowed."""
    return source == target or any(s == source and t == target for s, t, _ in pairs())


def rows() -> Iterator[tuple[str, str, str]]:
    """State, meaning, and what can follow; reStructuredText for the docs."""
    for name, meaning in MEANINGS.items():
        follows = [f"``{target}``: {why}" for source, target, why in pairs() if source == name]
        yield f"``{name}``", meaning, "; ".join(follows) or "nothing"


def as_text() -> str:
    """One line a transition."""
    return "\n".join(f"{source:<10} -> {target:<10} {why}" for source, target, why in pairs()) + "\n"


def as_markdown() -> str:
    """Two tables: the states, and what leads from one to the next."""
    lines = ["| state | meaning |", "|---|---|"]
    lines += [f"| `{state}` | {meaning} |" for state, meaning in MEANINGS.items()]
    lines += ["", "| from | to | because |", "|---|---|---|"]
    for transition in TRANSITIONS:
        sources = " ".join(f"`{state}`" for state in State if state in transition.sources)
        lines.append(f"| {sources} | `{transition.target}` | {transition.why} |")
    return "\n".join(lines) + "\n"


def as_dot() -> str:
    """The same for graphviz."""
    lines = ["digraph states {", "  rankdir=LR; node [shape=box, style=rounded];"]
    lines += [f'  "{source}" -> "{target}" [tooltip="{why}"];' for source, target, why in pairs()]
    return "\n".join([*lines, "}"]) + "\n"
