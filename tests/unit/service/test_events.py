import datetime
import time

import msgspec

from apisvc import errors
from apisvc.model import instances as model
from apisvc.schemas import events as schemas
from apisvc.service import listing
from apisvc.storage import base as storage
from tests.unit.service import instances_case


class EventsCase(instances_case.InstancesCase):
    def setUp(self):
        super().setUp()
        self.rules = self.services.events

    def listed(self, scope):
        return [item.value.action for item in self.rules.list(self.context(), scope, self.page()).items]


class ListTest(EventsCase):
    def test_a_tenants_events_in_order_and_nobody_elses(self):
        other = self.tenant("other")
        self.create(name="web")
        self.act("web", "stop")
        self.create(name="web", tenant=other)
        query = schemas.EventQuery(action="instance")
        self.assertEqual(
            ["instance.create", "instance.stop"], self.listed(self.rules.of_tenant(self.acme.id, query))
        )
        self.assertEqual(["instance.create"], self.listed(self.rules.of_tenant(other.id, query)))
        self.assertEqual(3, len(self.listed(self.rules.of_all(query))))

    def test_the_revision_of_an_event_is_what_it_made(self):
        created = self.create(name="web")
        done = self.act("web", "stop")
        scope = self.rules.of_instance(self.acme.id, created.result.id, schemas.EventQuery())
        found = self.rules.list(self.context(), scope, self.page()).items
        first, second = [schemas.view(item, node=False) for item in found]
        self.assertEqual((None, created.revision), (first.before, first.revision))
        self.assertEqual((created.revision, done.revision), (second.before, second.revision))
        self.assertEqual((self.ann.user_id, "ann"), (first.actor.id, first.actor.name))

    def test_filters(self):
        web = self.create(name="web").result
        self.create(name="db")
        for query, wanted in (
            ({"action": "instance.create"}, 2),
            ({"action": "inst"}, 0),
            ({"target_kind": "instance"}, 2),
            ({"target_id": web.id}, 1),
            ({"target_kind": "tenant", "target_id": web.id}, 0),
        ):
            scope = self.rules.of_tenant(self.acme.id, schemas.EventQuery(**query))
            self.assertEqual(wanted, len(self.listed(scope)), query)

    def test_since(self):
        self.create(name="web")
        now = datetime.datetime.now(datetime.UTC)
        for hours, wanted in ((-1, 1), (1, 0), (-1000000, 1)):
            query = schemas.EventQuery(action="instance", since=now + datetime.timedelta(hours=hours))
            self.assertEqual(wanted, len(self.listed(self.rules.of_tenant(self.acme.id, query))))

    def test_ones_own(self):
        self.create(name="mine")
        bob = self.person("bob")
        self.create(name="of-bob", ctx=self.context(bob))
        other = self.tenant("other")
        self.create(name="elsewhere", tenant=other)  # by ann, who is no member there
        found = self.rules.list(
            self.context(self.ann), self.rules.of_caller(self.as_ann(), schemas.EventQuery()), self.page()
        )
        told = {(item.value.action, item.value.target.name) for item in found.items}
        self.assertIn(("instance.create", "mine"), told)
        self.assertIn(("user.create", "ann"), told)
        names = {name for _, name in told}
        self.assertNotIn("of-bob", names)
        self.assertNotIn("elsewhere", names)

    def test_ones_own_by_a_token_limited_to_a_tenant(self):
        self.create(name="mine")
        limited = self.context(msgspec.structs.replace(self.ann, scope_tenant_id=self.acme.id))
        found = self.rules.list(limited, self.rules.of_caller(limited, schemas.EventQuery()), self.page())
        self.assertEqual({self.acme.id}, {item.value.tenant_id for item in found.items})
        self.assertIn("mine", {item.value.target.name for item in found.items})

    def test_pages_over_all_tenants_hold_everything_once(self):
        self.create(name="web")
        self.create(name="web", tenant=self.tenant("other"))
        scope, seen, marker = self.rules.of_all(schemas.EventQuery()), [], None
        while True:
            page = self.rules.list(self.context(), scope, listing.Page(3, marker))
            seen += [item.value.id for item in page.items]
            marker = page.marker
            if marker is None:
                break
        self.assertEqual(sorted(event.id for event in self.events()), sorted(seen))


class FeedTest(EventsCase):
    def feed(self, after=None, scope=None, **query):
        scope = scope or self.rules.of_tenant(self.acme.id, schemas.EventQuery(**query))
        feed = self.rules.feed(self.context(), scope, after)
        self.addCleanup(feed.close)
        return feed

    def take(self, feed, count):
        """The next ``count`` events, as (revision, name of the target)."""
        found, end = [], time.monotonic() + 10
        while len(found) < count and time.monotonic() < end:
            found += [(e.revision, e.value.target.name) for e in next(feed).events]
        return found

    def test_from_now_on(self):
        self.create(name="before")
        feed = self.feed()
        done = self.create(name="after")
        self.assertEqual([(done.revision, "after")], self.take(feed, 1))

    def test_from_a_cursor_on_nothing_is_lost_or_repeated(self):
        first, second, third = [self.create(name=f"i{n}").revision for n in range(3)]
        self.assertEqual([(second, "i1"), (third, "i2")], self.take(self.feed(first), 2))
        self.assertEqual([], next(self.feed(third)).events)

    def test_a_quiet_feed_moves_on(self):
        feed = self.feed(action="instance")
        self.tenant("noise")
        progress = next(feed)
        while progress.revision < self.store.revision():
            progress = next(feed)
        self.assertEqual([], progress.events)

    def test_only_ones_own(self):
        feed = self.feed(scope=self.rules.of_caller(self.as_ann(), schemas.EventQuery()))
        self.create(name="elsewhere", tenant=self.tenant("other"))
        self.create(name="of-nobody", ctx=self.context())
        done = self.create(name="mine")
        self.assertEqual([(done.revision, "mine")], self.take(feed, 1))

    def test_a_cursor_in_the_future_is_refused(self):
        error = self.assertRaises(errors.InvalidRequest, self.feed, self.store.revision() + 1)
        self.assertEqual("query:after", error.errors[0].pointer)

    def test_a_cursor_too_old_is_gone(self):
        first = self.create(name="web").revision
        self.create(name="db")
        self.store.compact(self.store.revision())
        error = self.assertRaises(errors.CursorExpired, self.feed, first)
        self.assertEqual(self.store.revision(), error.extensions["oldest"])

    def test_events_trimmed_by_age_are_no_events(self):
        self.create(name="web")
        feed = self.feed()
        gone = [r.key for r in self.store.scan("events/").records if self.acme.id in r.key]
        self.store.commit([], [storage.Delete(key) for key in gone])
        done = self.create(name="db")
        self.assertEqual([(done.revision, "db")], self.take(feed, 1))

    def test_a_closed_feed_ends(self):
        feed = self.feed()
        feed.close()
        self.assertRaises(StopIteration, next, feed)


class BookTest(EventsCase):
    def test_what_a_bill_needs_is_in_the_events(self):
        self.create(name="web")
        self.update("web", flavor="large")
        create, update = self.events()[-2:]
        self.assertEqual({"instances": 1, "vcpus": 1, "ram_mb": 100, "disk_gb": 1}, create.detail["used"])
        self.assertEqual({"instances": 1, "vcpus": 4, "ram_mb": 300, "disk_gb": 20}, update.detail["amounts"])
        self.assertEqual(update.detail["amounts"], update.detail["used"])
        self.assertEqual(model.Power.RUNNING.value, create.detail["power"])
