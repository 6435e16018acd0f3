"""The mirror makes its copy in pages, without what is left out, and anew when it has missed something."""

import time

import fixtures

from apisvc import errors
from apisvc.storage import base
from apisvc.storage.mirror import follower
from tests.unit.storage import mirror_case


class TestLoading(mirror_case.MirrorCase):
    def _limits_of_a_load(self, fails=lambda limit: False):
        """How many records each call of a load asked for."""
        asked = []
        scan = self.store.scan

        def noted(prefix, **how):
            asked.append(how["limit"])
            if fails(how["limit"]):
                raise errors.StoreUnavailable("too slow")
            return scan(prefix, **how)

        self.store.scan = noted
        self.read("a")
        self.assertEqual(4000, len(self.mirror.follower.records))
        return asked

    def _many(self, size):
        for part in range(0, 4000, 100):
            self.store.commit([], [base.Put(f"a/{n:05}", bytes(size)) for n in range(part, part + 100)])

    def test_pages_are_as_large_as_the_records_are_small(self):
        self._many(10)
        small, most = follower.PAGES
        # The last one looks for what follows the folder of them all.
        self.assertEqual([small, most, small], self._limits_of_a_load())

    def test_pages_of_large_records_are_bounded_by_bytes(self):
        self._many(8000)
        first, second, *others = self._limits_of_a_load()
        self.assertEqual((follower.PAGES[0], follower.BYTES // 8007), (first, second))
        self.assertEqual(3, len(others))

    def test_a_large_page_that_fails_is_asked_for_in_smaller_ones(self):
        self._many(10)
        small, most = follower.PAGES
        limits = self._limits_of_a_load(lambda limit: limit == most)
        self.assertEqual([small, most, most // 4, small], limits)

    def test_pages_within_a_folder_end_with_it(self):
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.PAGES", (2, 2)))
        keys = [*(f"a/{n}" for n in range(5)), "b", *(f"c/{n}" for n in range(4)), "events/1", "f", "g/1"]
        self.store.commit([], [base.Put(key, b"1") for key in keys])
        asked = []
        scan = self.store.scan

        def noted(prefix, **how):
            page = scan(prefix, **how)
            asked.append((prefix, [record.key for record in page.records]))
            return page

        self.store.scan = noted
        self.read("b")
        self.assertEqual(len(keys) - 1, len(self.mirror.follower.records))
        self.assertEqual(
            [
                ("", ["a/0", "a/1"]),
                ("a/", ["a/2", "a/3"]),
                ("a/", ["a/4"]),
                ("", ["b", "c/0"]),
                ("c/", ["c/1", "c/2"]),
                ("c/", ["c/3"]),
                ("", ["events/1", "f"]),
                ("", ["g/1"]),
            ],
            asked,
        )

    def test_what_the_watch_does_not_bring_is_loaded(self):
        """As on an etcd without space, where others wrote last."""
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.QUIET", 0.05))
        log = self.useFixture(fixtures.FakeLogger())
        watch = self.store.watch

        def deaf(*args, **how):
            opened = watch(*args, **how)
            opened.poll = lambda timeout: time.sleep(min(timeout, 0.05))
            return opened

        self.store.watch = deaf
        self.put("a")
        self.assertEqual(b"1", self.read("a"))
        self.put("a", b"2")
        self.assertEqual(b"2", self.read("a"))
        self.assertIn("does not bring all that is in it", log.output)

    def test_many_pages_are_loaded_without_what_is_left_out(self):
        self.useFixture(fixtures.MonkeyPatch("apisvc.storage.mirror.follower.PAGES", (1000, 1000)))
        for part in range(0, 3000, 100):
            self.store.commit([], [base.Put(f"a/{n:05}", b"") for n in range(part, part + 100)])
            self.store.commit([], [base.Put(f"events/{n:05}", b"") for n in range(part, part + 100)])
        self.put("z")
        self.assertEqual(b"1", self.read("z"))
        self.assertEqual(3001, len(self.mirror.follower.records))
        self.assertEqual(5, self.store.scans)  # of them one in the events, to find where they end

    def test_it_loads_anew_when_the_store_has_forgotten_what_it_missed(self):
        self.put("a")
        self.put("gone")
        self.read("a")
        self.store.away = True
        self.assertRaises(errors.StoreUnavailable, self.read, "a", 0.2)
        self.store.away = False
        self.put("a", b"2")
        self.store.commit([], [base.Delete("gone")])
        self.store.compact(self.put("b"))
        self.assertEqual((b"2", b"1", None), (self.read("a"), self.read("b"), self.read("gone")))
