"""Judges histories: is there an order of the operations, within real time, that explains every result?

The search of Wing and Gong, with Lowe's memory of what has been tried: take any
operation that began before the first end of those not yet taken, ask the model
whether its result is possible now, and go on from there; a set of operations
that has once led to a state is not tried with that state again.

An operation whose answer was lost has no end: it may have happened at any
time after its beginning, or never.
"""

import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

#: Ways tried before a history is given up as too tangled to be judged.
LIMIT = 2_000_000


@dataclasses.dataclass(frozen=True)
class Operation:
    """What one client did. ``end`` is infinity, and ``result`` None, when the answer was lost."""

    client: int
    begin: float
    end: float
    call: Any
    result: Any

    @property
    def lost(self) -> bool:
        return self.end == math.inf


class Model(Protocol):
    """An object as it is used by one client alone."""

    def start(self) -> Hashable:
        """The state at the beginning."""

    def step(self, state: Any, call: Any, result: Any, lost: bool) -> Hashable | None:
        """The state after ``call``; None when it cannot have had that result."""


class TooTangled(Exception):
    """The search was given up."""


def explain(model: Model, history: Sequence[Operation]) -> list[Operation] | None:
    """An order that explains all results, or None: the history is not linearizable."""
    operations = sorted(history, key=lambda operation: operation.begin)
    everything = sum(1 << index for index, operation in enumerate(operations) if not operation.lost)
    first = model.start()
    tried: set[tuple[int, Hashable]] = {(0, first)}
    # Depth first: each level holds what was taken, the state after it, and what can be taken next.
    path = [(0, first, _next(operations, 0))]
    order: list[Operation] = []
    while path:
        taken, state, candidates = path[-1]
        if taken & everything == everything:
            return order
        if len(tried) > LIMIT:
            raise TooTangled(f"{len(operations)} operations, {len(tried)} ways tried")
        while candidates:
            index = candidates.pop(0)
            operation = operations[index]
            after = model.step(state, operation.call, operation.result, operation.lost)
            key = (taken | 1 << index, after)
            if after is None or key in tried:
                continue
            tried.add(key)
            order.append(operation)
            path.append((key[0], after, _next(operations, key[0])))
            break
        else:
            path.pop()
            if order:
                order.pop()
    return None


def _next(operations: Sequence[Operation], taken: int) -> list[int]:
    """What may come first of the rest: all that began before any of the rest ended. Soonest end first."""
    found: list[int] = []
    first_end = math.inf
    # The lowest zero of ``taken``: all before it have been taken.
    index = (~taken & (taken + 1)).bit_length() - 1
    while index < len(operations) and operations[index].begin <= first_end:
        if not taken >> index & 1:
            found.append(index)
            first_end = min(first_end, operations[index].end)
        index += 1
    return sorted(found, key=lambda index: operations[index].end)


@dataclasses.dataclass(frozen=True)
class Read:
    """Some keys at one revision. Result: their values, None for a missing one."""

    keys: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Commit:
    """``expected``: what the guards ask for, by key. ``written``: new values. Result: whether it was done."""

    expected: tuple[tuple[int, Any], ...]
    written: tuple[tuple[int, Any], ...]


class Store:
    """A store of a few keys, numbered from 0. Values must be unique, so that they stand for revisions."""

    def __init__(self, size: int) -> None:
        self._size = size

    def start(self) -> Hashable:
        return (None,) * self._size

    def step(self, state: tuple[Any, ...], call: Read | Commit, result: Any, lost: bool) -> Hashable | None:
        if isinstance(call, Read):
            return state if lost or tuple(state[key] for key in call.keys) == result else None
        holds = all(state[key] == value for key, value in call.expected)
        if not lost and holds != result:
            return None
        if not holds:
            return state
        written = dict(call.written)
        return tuple(written.get(key, value) for key, value in enumerate(state))
