import time

import testtools

from apisvc.model import codec
from apisvc.service import listing
from apisvc.storage import base as storage
from apisvc.storage import memory


class ListingTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = memory.MemoryStore()
        self.store.commit([], [storage.Put(f"box/{n:03}", codec.encode(f"v{n}")) for n in range(7)])
        self.store.commit([], [storage.Put("boxes/1", codec.encode("elsewhere"))])

    def page(self, **kw):
        page = listing.Page(limit=kw.pop("limit", 3), marker=kw.pop("marker", None))
        return listing.scan(self.store, "box/", str, page, deadline=time.monotonic() + 5, **kw)

    def test_pages_follow_each_other_without_gap_or_overlap(self):
        seen, marker, pages = [], None, 0
        while True:
            page = self.page(marker=marker)
            seen += [item.value for item in page.items]
            pages += 1
            if page.marker is None:
                break
            marker = page.marker
        self.assertEqual([f"v{n}" for n in range(7)], seen)
        self.assertEqual(3, pages)

    def test_a_page_that_ends_with_the_list_has_no_next(self):
        self.assertIsNone(self.page(limit=7).marker)
        self.assertEqual("005", self.page(limit=6).marker)

    def test_the_record_of_the_marker_may_be_gone(self):
        self.store.commit([], [storage.Delete("box/002")])
        self.assertEqual(["v3", "v4", "v5"], [i.value for i in self.page(marker="002").items])

    def test_a_filter_fills_the_page_from_further_on(self):
        page = self.page(limit=2, keep=lambda value: int(value[1:]) % 3 == 0)
        self.assertEqual(["v0", "v3"], [i.value for i in page.items])
        page = self.page(limit=2, marker=page.marker, keep=lambda value: int(value[1:]) % 3 == 0)
        self.assertEqual(["v6"], [i.value for i in page.items])
        self.assertIsNone(page.marker)

    def test_a_marker_cannot_leave_the_prefix(self):
        self.assertEqual(["v0", "v1", "v2"], [i.value for i in self.page(marker="../../boxes").items])
        self.assertEqual([], self.page(marker="zzz").items)

    def test_a_filter_that_passes_all_over_ends_a_page_early_and_goes_on(self):
        self.addCleanup(setattr, listing, "LOOK_AT_MOST", listing.LOOK_AT_MOST)
        listing.LOOK_AT_MOST = 4
        page = self.page(keep=lambda value: value == "v6")
        self.assertEqual(([], "003"), (page.items, page.marker))
        page = self.page(marker="003", keep=lambda value: value == "v6")
        self.assertEqual((["v6"], None), ([i.value for i in page.items], page.marker))

    def walk(self, limit, **kw):
        seen, marker = [], None
        while True:
            page = self.page(limit=limit, marker=marker, **kw)
            seen += [item.value for item in page.items]
            marker = page.marker
            if marker is None:
                return seen

    def test_within_takes_only_the_given_places_and_since_only_what_is_not_before(self):
        names = [f"{place}/{n}" for place in "abcd" for n in range(5)]
        self.store.commit([], [storage.Put(f"box/{name}", codec.encode(name)) for name in names])
        within = ["box/d/", "box/b/"]
        for limit in (1, 2, 5, 7, 10, 11):
            wanted = [name for name in names if name[0] in "bd"]
            self.assertEqual(wanted, self.walk(limit, within=within))
            wanted = [name for name in wanted if name[-1] >= "3"]
            self.assertEqual(wanted, self.walk(limit, within=within, since="3"))
        self.assertEqual([], self.walk(3, within=[]))
