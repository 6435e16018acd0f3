"""A backend as one worker serves it: its driver behind one door, its own queue, its own threads.

Nothing here is shared between backends, so one that hangs costs others nothing.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apisvc.compute import base as compute
from apisvc.worker import decide, metrics, outcome, queue, steps

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that a tenant is taken for ensured before the driver is told again.
TENANT_GOOD_FOR = 300.0
#: Seconds until the next look at something in flight: the first and the longest
#: pause, without and with a driver that says by itself when something changed.
LOOKS = (0.05, 2.0)
LOOKS_WATCHED = (0.5, 15.0)
#: Seconds after its deadline that a call apart is given up.
GRACE = 5.0


class Site:
    def __init__(
        self, loaded: compute.LoadedBackend, ran: steps.Steps, timeout: float, grace: float = GRACE
    ) -> None:
        self.name = loaded.name
        self.driver = loaded.driver
        self.queue = queue.KeyQueue(metrics.WAITED.labels(loaded.name).observe)
        #: Keys of instances that must be looked at even if they seem settled.
        self._forced: set[str] = set()
        self._steps = ran
        self._timeout = timeout
        self._grace = grace
        self._handed: dict[str, decide.Handed] = {}
        self._looks: collections.Counter[str] = collections.Counter()
        self._tenants: dict[str, tuple[compute.TenantView, float]] = {}
        self._apart: set[str] = set()
        metrics.QUEUE.labels(self.name).set_function(lambda: len(self.queue))

    # The queue; its keys are those of the store: ``instances/{tenant}/{id}``

    def wake(self, key: str, delay: float = 0.0, *, force: bool = False) -> None:
        """Have the instance worked; ``force``: look at the backend in any case."""
        if force:
            self._forced.add(key)
        self.queue.add(key, delay)

    def take_force(self, key: str) -> bool:
        """Whether the instance was woken with ``force`` since the last time."""
        try:
            self._forced.remove(key)
        except KeyError:
            return False
        return True

    def look_again(self, key: str, at_least: float = 0.0, *, told: bool = True) -> None:
        """It is in flight: look again after a pause that grows from look to look.

        ``told`` False: what is waited for is nothing that a driver with Watch speaks of.
        """
        watched = told and isinstance(self.driver, compute.Watch)
        first, longest = LOOKS_WATCHED if watched else LOOKS
        pause = min(longest, first * 2 ** min(self._looks[key], 16))
        self._looks[key] += 1
        self.queue.add(key, max(pause, at_least))

    # What was passed on

    def handed(self, key: str) -> decide.Handed:
        return self._handed.get(key, decide.Handed())

    def hand(self, key: str, handed: decide.Handed) -> None:
        self._handed[key] = handed

    def forget(self, key: str) -> None:
        """It is settled or gone."""
        self._handed.pop(key, None)
        self._looks.pop(key, None)

    # The driver

    def look(self, instance_id: str) -> compute.Observed | None:
        """What is there of one instance; None: it is authoritatively gone."""
        found = self.call("observe", lambda deadline: self.driver.observe([instance_id], deadline=deadline))
        return next((seen for seen in found if seen.tag.instance_id == instance_id), None)

    def look_at_all(self) -> dict[str, compute.Observed]:
        """All that is there, by instance id. Also waits for a driver that ignores its deadline, but not for ever."""
        found = self.call_apart("observe", lambda deadline: self.driver.observe(None, deadline=deadline))
        return {observed.tag.instance_id: observed for observed in found}

    def check(self) -> compute.Health:
        """Health; the same holds for its time."""
        return self.call_apart("check", lambda deadline: self.driver.check(deadline=deadline))

    def nodes(self) -> Sequence[compute.Node]:
        """The machines behind it, whose driver has Nodes; the same holds for the time."""
        driver = self.driver
        assert isinstance(driver, compute.Nodes)
        return self.call_apart("nodes", lambda deadline: driver.nodes(deadline=deadline))

    def ensure_tenant(self, view: compute.TenantView) -> None:
        """Once for each change of the tenant, and again now and then."""
        known, until = self._tenants.get(view.id, (None, 0.0))
        if known == view and time.monotonic() < until:
            return
        self.call("ensure_tenant", lambda deadline: self.driver.ensure_tenant(view, deadline=deadline))
        self._tenants[view.id] = (view, time.monotonic() + TENANT_GOOD_FOR)

    def doubt_tenant(self, tenant_id: str) -> None:
        """What was made for the tenant may be gone; make sure the next time."""
        self._tenants.pop(tenant_id, None)

    def call(self, name: str, do: Callable[[float], T]) -> T:
        """``do(deadline)``, counted and timed; raises only DriverErrors."""
        try:
            with self._steps.step(f"driver.{name}"), metrics.DRIVER_CALLS.labels(self.name, name).time():
                return do(time.monotonic() + self._timeout)
        except Exception as error:
            known = outcome.as_driver_error(error)
            if not isinstance(known, compute.InProgress):
                metrics.DRIVER_ERRORS.labels(self.name, name, known.code).inc()
            if known is error:
                raise
            raise known from error

    def call_apart(self, name: str, do: Callable[[float], T]) -> T:
        """As :meth:`call`, in a thread of its own that is left behind when it ignores its deadline.

        For callers who must go on. Only one such call of a name at a time:
        while one hangs, further ones are Timeout at once.
        """
        if name in self._apart:
            raise compute.Timeout("An earlier call of this kind still hangs.")
        self._apart.add(name)
        box: list[Any] = []

        def run() -> None:
            try:
                box.append((True, self.call(name, do)))
            except compute.DriverError as error:
                box.append((False, error))
            finally:
                self._apart.discard(name)

        thread = threading.Thread(target=run, name=f"{name} {self.name}", daemon=True)
        thread.start()
        thread.join(self._timeout + self._grace)
        if not box:
            raise compute.Timeout("The driver ignores its deadline.")
        good, result = box[0]
        if not good:
            raise result
        answer: T = result
        return answer
