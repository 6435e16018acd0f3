"""Fault injection: something goes wrong before or after the Nth time of a named step.

The names are in :data:`apisvc.worker.steps.NAMES`. By environment variable, for
processes that are to be killed::

    APISVC_FAULTS="kill:before:driver.ensure:3, delay:after:store.claim:1:0.5" apisvc-worker

or as the ``hook`` of a :class:`~apisvc.worker.worker.Worker`, for tests within
one process: there ``die`` makes the worker as good as killed, without harm to
the process.
"""

import collections
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping

VARIABLE = "APISVC_FAULTS"
ACTIONS = ("kill", "die", "raise", "delay")


class Injected(Exception):
    """What ``raise`` raises: an error that nobody expects."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """``action`` at the ``nth`` time of ``when`` (before, after) ``step``.

    ``kill``: SIGKILL to this process. ``die``: from then on every step of the
    hook's worker ends its thread, as if it were killed. ``raise``: an
    :class:`Injected`. ``delay``: wait ``seconds``.
    """

    action: str
    when: str
    step: str
    nth: int = 1
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """``action:when:step[:nth[:seconds]]``; ValueError says what is wrong with it."""
        parts = text.strip().split(":")
        if not 3 <= len(parts) <= 5:
            raise ValueError(f"{text!r} is not action:when:step[:nth[:seconds]]")
        action, when, step = parts[:3]
        if action not in ACTIONS:
            raise ValueError(f"{text!r}: the action is one of {', '.join(ACTIONS)}")
        if when not in ("before", "after"):
            raise ValueError(f"{text!r}: the second part is before or after")
        nth = int(parts[3]) if len(parts) > 3 else 1
        return cls(action, when, step, nth, float(parts[4]) if len(parts) > 4 else 0.0)


class Injector:
    """A hook for :class:`apisvc.worker.steps.Steps`."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self._lock = threading.Lock()
        self._seen: collections.Counter[tuple[str, str]] = collections.Counter()
        #: Set when a ``die`` has happened.
        self.dead = threading.Event()

    def count(self, step: str, when: str = "before") -> int:
        """How often the step was begun (or, with ``after``, returned)."""
        with self._lock:
            return self._seen[when, step]

    def before(self, name: str) -> None:
        self._met("before", name)

    def after(self, name: str) -> None:
        self._met("after", name)

    def _met(self, when: str, name: str) -> None:
        if self.dead.is_set():
            raise SystemExit  # ends a thread without a word, and passes what catches Exception
        with self._lock:
            self._seen[when, name] += 1
            nth = self._seen[when, name]
        for fault in self._faults:
            if (fault.when, fault.step, fault.nth) == (when, name, nth):
                self._do(fault)

    def _do(self, fault: Fault) -> None:
        if fault.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.action == "die":
            self.dead.set()
            raise SystemExit
        if fault.action == "raise":
            raise Injected(f"{fault.when} {fault.step}")
        time.sleep(fault.seconds)


def from_environment(environ: Mapping[str, str] = os.environ) -> Injector | None:
    """The injector that ``APISVC_FAULTS`` asks for; None when it is unset or empty."""
    texts = [text for text in environ.get(VARIABLE, "").split(",") if text.strip()]
    return Injector(Fault.parse(text) for text in texts) if texts else None
