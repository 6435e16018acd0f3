"""What the scenarios of :mod:`apisvc.testing.compute` stand on: drivers, workloads, waiting, cleaning up."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from apisvc.compute import base
from apisvc.testing import backends, case

T = TypeVar("T")


class ComputeCase(case.Case):
    """What a driver's author says of the driver. See :class:`apisvc.testing.compute.ComputeSuite`."""

    #: Names of the capabilities it has, as in ``base.CAPABILITIES``.
    capabilities: tuple[str, ...] = ()
    #: Seconds that the backend may take for any one thing.
    patience = 30.0
    #: The lines that what :meth:`running` gives prints, in this order: a machine's console has its own.
    prints: tuple[str, ...] = ("one", "two", "three")

    def make_driver(self, owner: str) -> base.ComputeDriver:
        """A driver for the owner. All that one test makes serve the same backend."""
        raise NotImplementedError("say how your driver is made")

    def running(self) -> Mapping[str, Any]:
        """Fields of a Workload that runs until it is stopped, having printed the lines of ``prints``."""
        raise NotImplementedError("say what runs on your backend")

    def exiting(self, code: int) -> Mapping[str, Any] | None:
        """Fields of one that ends by itself with this exit code; None where nothing can (a machine)."""
        raise NotImplementedError("say what ends by itself on your backend, or that nothing does")

    def invalid(self) -> Mapping[str, Any]:
        """Fields of one that ``ensure`` refuses at once."""
        raise NotImplementedError("say what your backend refuses")

    def make_stray(self) -> str | None:
        """Make what somebody else could have made on the backend; its handle. None where a test cannot."""
        return None

    def count(self, instance_id: str) -> int:
        """How many objects there really are for it; a twin makes it 2. Look past the driver if you can."""
        return [seen.tag.instance_id for seen in self.observe()].count(instance_id)

    # For the scenarios

    def setUp(self) -> None:
        super().setUp()
        self.owner = f"suite-{uuid.uuid4().hex[:8]}"
        self.tenant = backends.tenant(str(uuid.uuid4()))
        self.driver = self.another()
        self.driver.ensure_tenant(self.tenant, deadline=self.soon())
        self._made: set[str] = set()
        self.addCleanup(self._clean)

    def _clean(self) -> None:
        for instance_id in self._made:
            self.gone(instance_id)
        self.until(
            lambda: self.driver.remove_tenant(self.tenant.id, deadline=self.soon()), "the tenant is removed"
        )

    def another(self, owner: str | None = None) -> base.ComputeDriver:
        """One more driver, as another process would have it."""
        driver = self.make_driver(owner or self.owner)
        self.addCleanup(driver.close)
        return driver

    def require(self, capability: str) -> Any:
        """The driver, as one that has the capability; a skip that says so if it does not."""
        if capability not in self.capabilities:
            self.skipTest(f"the driver does not declare {capability}")
        return self.driver

    def soon(self) -> float:
        return time.monotonic() + self.patience

    def workload(self, **fields: Any) -> base.Workload:
        """What runs, with a fresh id, but for ``fields``."""
        instance_id = str(fields.pop("id", None) or uuid.uuid4())
        self._made.add(instance_id)
        mine = {"name": f"suite-{instance_id[-8:]}", "tenant": self.tenant}
        return backends.workload(instance_id, **{**mine, **self.running(), **fields})

    def ended(self, code: int, **fields: Any) -> base.Workload:
        """What ends by itself."""
        if (made := self.exiting(code)) is None:
            self.skipTest("nothing ends by itself on this backend")
        return self.workload(**{"restart_policy": "never", **made, **fields})

    def again(self, call: Callable[[], T]) -> T:
        """What ``call`` answers once the backend is no longer busy with what it was asked before."""
        answers: list[T] = []

        def answered() -> bool:
            try:
                answers.append(call())
            except base.InProgress:
                return False
            return True

        self.until(answered, "it is no longer busy")
        return answers[0]

    def ensure(self, workload: base.Workload) -> base.Observed:
        return self.again(lambda: self.driver.ensure(workload, deadline=self.soon()))

    def observe(self, ids: list[str] | None = None) -> list[base.Observed]:
        return list(self.driver.observe(ids, deadline=self.soon()))

    def look(self, instance_id: str) -> base.Observed | None:
        """The one object, if there is one."""
        found = self.observe([instance_id])
        self.assertLessEqual(len(found), 1, f"twins: {found}")
        return found[0] if found else None

    def until(self, what: Callable[[], T | None], why: str) -> T:
        """The first answer of ``what`` that is true."""
        end = self.soon()
        while True:
            if answer := what():
                return answer
            if time.monotonic() >= end:
                self.fail(f"not within {self.patience} s: {why}")
            time.sleep(0.01)

    def until_phase(self, instance_id: str, phase: base.Phase, **fields: Any) -> base.Observed:
        """As it is seen when it has come to ``phase`` (and ``fields``)."""
        latest: list[base.Observed | None] = [None]

        def there() -> base.Observed | None:
            seen = latest[0] = self.look(instance_id)
            same = seen and seen.phase is phase and all(getattr(seen, k) == v for k, v in fields.items())
            return seen if same else None

        try:
            return self.until(there, f"{phase} {fields}")
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {latest[0]}") from None

    def run_one(self, **fields: Any) -> base.Workload:
        """A workload that runs by now."""
        workload = self.workload(**fields)
        self.ensure(workload)
        self.until_phase(workload.id, base.Phase.RUNNING)
        return workload

    def gone(self, instance_id: str) -> None:
        self.until(
            lambda: self.again(lambda: self.driver.delete(instance_id, self.tenant.id, deadline=self.soon())),
            f"{instance_id} is deleted",
        )

    def at_once(self, *calls: Callable[[], object]) -> list[object]:
        """Run all at the same time; what they answered or raised."""
        answers: list[object] = [None] * len(calls)
        gate = threading.Barrier(len(calls))

        def run(index: int) -> None:
            gate.wait(self.patience)
            try:
                answers[index] = calls[index]()
            except Exception as error:
                answers[index] = error

        threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    @contextlib.contextmanager
    def watching(self) -> Iterator["Feed"]:
        """What the driver's watch tells within the block."""
        feed = Feed(self.require("watch"))
        feed.start()
        try:
            yield feed
        finally:
            feed.stop.set()
            feed.join(self.patience)


class Feed(threading.Thread):
    """Listens to a driver's watch."""

    def __init__(self, driver: base.Watch) -> None:
        super().__init__(daemon=True)
        self.heard: list[str] = []
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self._driver = driver

    def run(self) -> None:
        try:
            for instance_id in self._driver.watch(stop=self.stop):
                self.heard.append(instance_id)
        except Exception as error:
            self.error = error
