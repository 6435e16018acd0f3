"""How the ``fake`` driver is told to misbehave: by options, by an instance's labels, by a test's hand."""

import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping

from apisvc.compute import base

ERRORS: Mapping[str, type[base.DriverError]] = {error.code: error for error in base.ERRORS}

#: Labels of an instance, each also heard as environment (``fake.exit`` is ``FAKE_EXIT``), with what they do.
KNOBS: Mapping[str, str] = {
    "fake.delay": "Seconds that each transition (create, start, stop, reboot, delete) takes.",
    "fake.exit": "It ends by itself with this exit code,",
    "fake.exit_after": "this many seconds after it began to run (default 0).",
    "fake.error": "Code of the error that calls for it raise, as in the closed set: no_capacity ...",
    "fake.error_on": "The call that raises it (default ensure).",
    "fake.error_times": "How often, in each process (default: always).",
    "fake.lost": "How many times a call does its work and then raises Timeout.",
    "fake.lost_on": "The call that does so (default ensure).",
    "fake.log": "What it prints.",
}


def knobs(labels: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """What of ``labels`` and ``env`` speaks to the fake driver; InvalidSpec when it makes no sense."""
    found: dict[str, str] = {}
    for name in KNOBS:
        variable = name.replace(".", "_").upper()
        if (value := labels.get(name, env.get(variable))) is not None:
            found[name] = value
    for name, kind in _KINDS.items():
        try:
            kind(found.get(name, "0"))
        except ValueError:
            raise base.InvalidSpec(f"The label {name} is {found[name]!r}; it takes a number.") from None
    if found.get("fake.error", "timeout") not in ERRORS:
        raise base.InvalidSpec(
            f"The label fake.error is {found['fake.error']!r}; it takes one of {', '.join(ERRORS)}."
        )
    return found


_KINDS = {
    "fake.delay": float,
    "fake.exit": int,
    "fake.exit_after": float,
    "fake.error_times": int,
    "fake.lost": int,
}


@dataclasses.dataclass
class _Rule:
    on: str
    instance: str | None
    #: How many more times; None: always.
    times: int | None
    #: Raised before anything is done; None: done, then a Timeout.
    error: base.DriverError | None


class Script:
    """What goes wrong next, and what was called. ``on`` is the name of a call, or ``*`` for each of them."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._rules: list[_Rule] = []
        self._frozen: set[str] = set()
        self._tried: collections.Counter[tuple[str, str]] = collections.Counter()
        #: How often each call came.
        self.calls: collections.Counter[str] = collections.Counter()
        #: The latest calls: name, instance id or "".
        self.journal: collections.deque[tuple[str, str]] = collections.deque(maxlen=10_000)

    # For tests

    def fail(
        self,
        error: base.DriverError | type[base.DriverError],
        *,
        on: str = "ensure",
        times: int | None = 1,
        instance: str | None = None,
    ) -> None:
        """The next ``times`` calls raise ``error`` and do nothing. None: all, until :meth:`clear`."""
        made = error() if isinstance(error, type) else error
        with self._lock:
            self._rules.append(_Rule(on, instance, times, made))

    def lose_response(
        self, *, on: str = "ensure", times: int | None = 1, instance: str | None = None
    ) -> None:
        """The next ``times`` calls do their work and then raise Timeout."""
        with self._lock:
            self._rules.append(_Rule(on, instance, times, None))

    def outage(self) -> None:
        """Nothing answers, until :meth:`clear`."""
        self.fail(base.Unavailable, on="*", times=None)

    def partial_outage(self) -> None:
        """It takes orders but cannot be listed in full, until :meth:`clear`."""
        self.fail(base.Unavailable, on="observe", times=None)

    def clear(self) -> None:
        """All is well again; frozen calls go on."""
        with self._lock:
            self._rules.clear()
            self._frozen.clear()
            self._lock.notify_all()

    @contextlib.contextmanager
    def frozen(self, on: str = "*") -> Iterator[None]:
        """Within, calls hang: until the end of the block or their deadline."""
        with self._lock:
            self._frozen.add(on)
        try:
            yield
        finally:
            with self._lock:
                self._frozen.discard(on)
                self._lock.notify_all()

    # For the driver

    def enter(
        self, call: str, instance_id: str, knobs: Mapping[str, str], *, delay: float, deadline: float
    ) -> bool:
        """Wait and raise as told. True: the answer of this call is to be lost."""
        with self._lock:
            self.calls[call] += 1
            self.journal.append((call, instance_id))
            self._check(deadline)
            while self._frozen & {call, "*"}:
                self._lock.wait(max(0.0, deadline - time.monotonic()))
                self._check(deadline)
        if delay:
            time.sleep(max(0.0, min(delay, deadline - time.monotonic())))
            self._check(deadline)
        with self._lock:
            rule = self._take(call, instance_id)
        if rule is not None and rule.error is not None:
            raise rule.error
        return rule is not None or self._by_knobs(call, instance_id, knobs)

    def _take(self, call: str, instance_id: str) -> _Rule | None:
        for rule in self._rules:
            if rule.on in (call, "*") and rule.instance in (None, instance_id) and rule.times != 0:
                rule.times = None if rule.times is None else rule.times - 1
                return rule
        return None

    def _by_knobs(self, call: str, instance_id: str, knobs: Mapping[str, str]) -> bool:
        if "fake.error" in knobs and call == knobs.get("fake.error_on", "ensure"):
            times = knobs.get("fake.error_times")
            if times is None or self._count("error", instance_id) <= int(times):
                raise ERRORS[knobs["fake.error"]]()
        if "fake.lost" in knobs and call == knobs.get("fake.lost_on", "ensure"):
            return self._count("lost", instance_id) <= int(knobs["fake.lost"])
        return False

    def _count(self, what: str, instance_id: str) -> int:
        with self._lock:
            self._tried[what, instance_id] += 1
            return self._tried[what, instance_id]

    @staticmethod
    def _check(deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise base.Timeout
