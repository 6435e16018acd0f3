"""The watch against an API server that ends, cuts, forgets and falls silent."""

import json
import threading
import time
import unittest
from urllib import parse

from apisvc.compute import base
from tests import ports
from tests.unit.client import scripted
from tests.unit.compute.kubernetes import cluster

PATIENCE = 30.0


def event(kind, thing):
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def bookmark(version):
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})


class Api:
    """Lists are as ``pods`` says; watches of pods are ``streams``, one after the other; those of anchors wait."""

    def __init__(self, test):
        self.pods = []
        self.streams = []
        self.watched = []
        self.lists = 0
        self.over = threading.Event()
        self.server = scripted.ScriptedServer(route=self.route)
        self.server.__enter__()
        test.addCleanup(self.server.__exit__)
        test.addCleanup(self.over.set)

    def route(self, seen):
        url = parse.urlsplit(seen.path)
        query = dict(parse.parse_qsl(url.query))
        pods = url.path.endswith("/pods")
        if query.get("watch") != "true":
            self.lists += pods
            return cluster.listing(self.pods if pods else [], version="10")
        if not pods:
            return scripted.Reply(chunks=self.wait())
        self.watched.append(query)
        if not self.streams:
            return scripted.Reply(chunks=self.wait())
        stream = self.streams.pop(0)
        return stream if isinstance(stream, scripted.Reply) else scripted.Reply(chunks=stream)

    def wait(self):
        self.over.wait(PATIENCE * 2)
        yield from ()


class TestWatch(unittest.TestCase):
    def setUp(self):
        self.api = Api(self)
        self.stop = threading.Event()
        self.addCleanup(self.stop.set)

    def begin(self):
        self.driver = cluster.make_driver(self.api.server.url)
        self.addCleanup(self.driver.close)
        return self.driver.watch(stop=self.stop)

    def take(self, feed, count):
        return [next(feed) for _ in range(count)]

    def test_it_goes_on_where_it_was_when_its_time_is_over_or_it_is_cut(self):
        self.api.streams = [
            [event("ADDED", cluster.pod("a", version="12")), bookmark("15")],
            scripted.Reply(chunks=[event("ADDED", cluster.pod("b", version="17"))], cut=True),
            [event("DELETED", cluster.pod("a", version="19"))],
        ]
        self.assertEqual(["", "a", "b", "a"], self.take(self.begin(), 4))
        self.assertEqual(["10", "15", "17"], [one["resourceVersion"] for one in self.api.watched[:3]])
        self.assertEqual({"true"}, {one["allowWatchBookmarks"] for one in self.api.watched})
        self.assertEqual(1, self.api.lists)

    def test_a_position_that_is_forgotten_is_a_gap_and_a_new_list(self):
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        self.api.pods = [cluster.pod("a", version="9")]
        self.api.streams = [
            [event("ERROR", gone)],
            cluster.status(410, "too old resource version"),
            [event("ADDED", cluster.pod("b", version="12"))],
        ]
        feed = self.begin()
        self.assertEqual(["", "", "b"], self.take(feed, 3))
        self.assertEqual(3, self.api.lists)

    def test_what_comes_in_pieces_is_put_together(self):
        line = event("ADDED", cluster.pod("a", version="12")) + event("ADDED", cluster.pod("b", version="13"))
        self.api.streams = [[line[:50], line[50:700], line[700:]]]
        self.assertEqual(["", "a", "b"], self.take(self.begin(), 3))

    def test_nothing_is_told_of_what_is_no_news(self):
        running = {"state": cluster.RUNNING}
        self.api.pods = [cluster.pod("a", version="9", **running)]
        self.api.streams = [
            [
                event("MODIFIED", cluster.pod("a", version="12", **running)),
                event("MODIFIED", cluster.pod("b", version="13", **running)),
            ]
        ]
        self.assertEqual(["", "b"], self.take(self.begin(), 2))

    def test_looks_are_answered_from_it_and_absence_never(self):
        self.api.pods = [cluster.pod("a", version="9", state=cluster.RUNNING)]
        feed = self.begin()
        next(feed)
        before = len(self.api.server.seen)
        (found,) = self.driver.observe(["a"], deadline=time.monotonic() + PATIENCE)
        self.assertEqual(base.Phase.RUNNING, found.phase)
        self.assertEqual(before, len(self.api.server.seen))
        self.api.pods = [cluster.pod("b", version="11")]
        (found,) = self.driver.observe(["b"], deadline=time.monotonic() + PATIENCE)
        self.assertEqual("b", found.tag.instance_id)
        self.assertGreater(len(self.api.server.seen), before)

    def test_it_ends_when_told_to_and_lets_go(self):
        feed = self.begin()
        next(feed)
        self.assertTrue(self.driver._cache.current())
        self.stop.set()
        self.assertEqual([], list(feed))
        self.assertFalse(self.driver._cache.current())

    def test_an_api_server_that_is_not_there(self):
        driver = cluster.make_driver(f"http://127.0.0.1:{ports.reserve(self.addCleanup)}")
        with self.assertRaises(base.Unavailable):
            next(driver.watch(stop=self.stop))

    def test_one_that_goes_away(self):
        self.api.streams = [[bookmark("12")], cluster.status(503, "shutting down")]
        feed = self.begin()
        self.assertEqual("", next(feed))
        with self.assertRaises(base.Unavailable):
            next(feed)
        self.assertFalse(self.driver._cache.current())
