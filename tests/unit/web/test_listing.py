import testtools

from apisvc.model import events, keys
from apisvc.service import listing
from apisvc.storage import base, memory


class Listing(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.store = memory.MemoryStore()
        for n in range(250):
            actor = b'{"kind":"user","id":"id-%03d"}' % n
            self.store.commit([], [base.Put(keys.join("things/", f"id-{n:03}"), actor)])
        self.store.commit([], [base.Put("thingsx", b"{}")])

    def pages(self, limit, keep=None):
        marker, pages = None, []
        while True:
            page = listing.scan(self.store, "things/", events.Actor, listing.Page(limit, marker), keep=keep)
            pages.append([item.value.id for item in page.items])
            marker = page.marker
            if marker is None:
                return pages

    def test_pages_join_to_the_whole(self):
        everything = [f"id-{n:03}" for n in range(250)]
        for limit in (1, 99, 125, 249, 250, 251):
            pages = self.pages(limit)
            self.assertEqual(everything, [one for page in pages for one in page])
            self.assertEqual(-(-250 // limit), len(pages))

    def test_a_filter_fills_its_pages(self):
        pages = self.pages(10, keep=lambda actor: actor.id.endswith("7"))
        self.assertEqual([10, 10, 5], [len(page) for page in pages])

    def test_a_marker_outlives_its_item(self):
        first = listing.scan(self.store, "things/", events.Actor, listing.Page(3))
        self.store.commit([], [base.Delete("things/" + first.marker)])
        following = listing.scan(self.store, "things/", events.Actor, listing.Page(1, first.marker))
        self.assertEqual("id-003", following.items[0].value.id)
