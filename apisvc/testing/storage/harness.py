"""What every scenario stands on."""

import threading
import time
from collections.abc import Callable, Mapping

from apisvc.storage import base
from apisvc.testing import case

#: Seconds that anything may take before a scenario fails. Not a promise of speed.
PATIENCE = 30.0


def empty(store: base.Store) -> None:
    """Delete all that is in a store, by the contract alone: for stores that scenarios share.

    It also ends what leases would do later: a lease without keys changes nothing.
    """
    while records := store.scan("", limit=base.MAX_OPS).records:
        store.commit([], [base.Delete(record.key) for record in records])


class Harness(case.Case):
    """What a driver's tests give to the suite, and what the scenarios use."""

    #: Scenarios the driver cannot pass, each with the reason: ``{"test_...": "why"}``.
    cannot: Mapping[str, str] = {}

    def make_store(self) -> base.Store:
        """A store that holds no keys."""
        raise NotImplementedError("a storage driver's tests define make_store()")

    def another_handle(self) -> base.Store:
        """Another Store object on the data of the last :meth:`make_store`, as another process has it."""
        raise NotImplementedError(
            "a storage driver's tests define another_handle(), or declare in 'cannot' what needs it"
        )

    @classmethod
    def scenarios(cls) -> list[str]:
        """The names of all scenarios of this class, or of one group of them."""
        return sorted(name for name in dir(cls) if name.startswith("test_"))

    @classmethod
    def limitations(cls) -> Mapping[str, str]:
        """The scenarios that are not run, with the reasons."""
        return dict(cls.cannot)

    def setUp(self) -> None:
        super().setUp()
        reason = self.cannot.get(self._testMethodName)
        if reason is not None:
            self.skipTest(f"the driver declares that it cannot: {reason}")
        self.store = self.make_store()
        self.addCleanup(lambda: self.store.close())

    def test_limitations_name_scenarios(self) -> None:
        unknown = set(self.cannot) - set(self.scenarios())
        self.assertEqual(set(), unknown, "these are no scenarios of the suite")
        self.assertEqual([], [name for name, reason in self.cannot.items() if not reason.strip()])

    # What the scenarios use

    def soon(self, seconds: float = PATIENCE) -> float:
        """A deadline."""
        return time.monotonic() + seconds

    def put(self, key: str, value: bytes = b"value", lease: str | None = None) -> int:
        """Write one key, whatever was there; the revision."""
        return self.store.commit([], [base.Put(key, value, lease)])

    def delete(self, key: str) -> int:
        return self.store.commit([], [base.Delete(key)])

    def one(self, key: str) -> base.Record | None:
        """The record of one key."""
        return self.store.get([key]).records.get(key)

    def keys(self, prefix: str = "") -> list[str]:
        return [record.key for record in self.store.scan(prefix).records]

    def open_watch(self, prefix: str, after: int, store: base.Store | None = None) -> base.Watch:
        """A watch that is closed at the end of the test."""
        watch = (store or self.store).watch(prefix, after=after)
        self.addCleanup(watch.close)
        return watch

    def changes(self, watch: base.Watch, count: int) -> list[base.Change]:
        """The next ``count`` changes; a failure when they do not come, or more come with them."""
        found: list[base.Change] = []
        end = self.soon()
        while len(found) < count:
            batch = watch.poll(max(0.0, end - time.monotonic()))
            if batch is None:
                self.fail(f"{count} changes expected, {found} came")
            found += batch.changes
        self.assertEqual(count, len(found), found)
        return found

    def eventually(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until ``condition()``; a failure saying ``what`` when it does not come true."""
        end = self.soon(seconds)
        while not condition():
            if time.monotonic() >= end:
                self.fail(f"not within {seconds} s: {what}")
            time.sleep(0.01)

    def in_threads(self, *works: Callable[[], None]) -> None:
        """Run all of them at once; the first error of any fails the test."""
        failures: list[BaseException] = []

        def run(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        end = self.soon(6 * PATIENCE)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
            self.assertFalse(thread.is_alive(), "a call hangs")
        if failures:
            raise failures[0]
