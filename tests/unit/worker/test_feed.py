"""Following the store through gaps and outages."""

import testtools

from apisvc import errors
from apisvc.storage import base as storage
from apisvc.storage import memory
from apisvc.worker import feed
from tests.unit.worker import world


class Flaky(memory.MemoryStore):
    """Fails the next calls when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.scans = 0
        self.failing = 0
        self.gap = False

    def scan(self, *args, **kw) -> storage.Page:
        self.scans += 1
        self._fail()
        return super().scan(*args, **kw)

    def watch(self, prefix: str, *, after: int, deadline: float | None = None) -> storage.Watch:
        self._fail()
        if self.gap:
            self.gap = False
            raise storage.Compacted(after + 1)
        return super().watch(prefix, after=after)

    def _fail(self) -> None:
        if self.failing:
            self.failing -= 1
            raise errors.StoreUnavailable("away")


class Following(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = Flaky()
        self.seen: dict[str, bytes | None] = {}
        self.follower = feed.Follower(self.store, "a/", self._listed, self._changed)
        self.addCleanup(self.follower.stop)

    def _listed(self, records) -> None:
        self.seen = {key: record.value for key, record in records.items()}

    def _changed(self, change: storage.Change) -> None:
        self.seen[change.key] = change.value

    def put(self, key: str, value: bytes = b"x") -> None:
        self.store.commit([], [storage.Put(key, value)])

    def test_what_was_there_and_what_comes(self) -> None:
        for number in range(2500):
            self.put(f"a/{number:04}")
        self.put("b/other")
        self.follower.start()
        world.until(lambda: len(self.seen) == 2500, "all pages")
        self.put("a/new")
        world.until(lambda: "a/new" in self.seen, "the change")
        self.store.commit([], [storage.Delete("a/new")])
        world.until(lambda: self.seen["a/new"] is None, "the delete")

    def test_a_store_that_is_away_at_first(self) -> None:
        self.put("a/1")
        self.store.failing = 3
        self.follower.start()
        world.until(lambda: "a/1" in self.seen, "listed in the end")

    def test_after_a_compaction_all_is_listed_anew(self) -> None:
        self.store.gap = True
        self.follower.start()
        world.until(lambda: self.store.scans == 2, "listed twice")
        self.put("a/1")
        world.until(lambda: "a/1" in self.seen, "and followed")

    def test_stop_ends_its_thread(self) -> None:
        self.follower.start()
        self.follower.wait_listed(world.DEADLINE)
        self.follower.stop()
        self.assertFalse(self.follower._thread.is_alive())
