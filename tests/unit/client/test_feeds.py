"""Feeds that are cut go on; waiting follows them."""

import json
import unittest
import urllib.parse
from typing import Any

from apisvc import client
from apisvc.client import errors, feeds
from tests.unit.client import scripted
from tests.unit.client.scripted import CUT, Reply, problem
from tests.unit.client.test_transport import FakeTime


def event(revision: int, id_: str | None = None) -> bytes:
    return entry(revision, "event", {"id": id_ or f"e{revision}", "revision": revision})


def bookmark(revision: int) -> bytes:
    return entry(revision, "bookmark", {"revision": revision})


def entry(cursor: int, kind: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"cursor": cursor, "kind": kind, "data": data}).encode() + b"\n"


def feed(*chunks: bytes, cut: bool = True) -> Reply:
    return Reply(200, chunks=chunks, media=feeds.NDJSON, cut=cut)


def cursor(seen: scripted.Seen) -> str | None:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(seen.path).query)).get("after")


class FollowTest(unittest.TestCase):
    def follow(self, *replies: Reply, after: int | None = 4) -> list[str]:
        """The ids seen until the script ends with an error, kept in ``self.error``."""
        self.server = self.enterContext(scripted.ScriptedServer(replies))
        self.time = FakeTime()
        api = client.Client(self.server.url, "t", clock=self.time.clock, sleep=self.time.sleep)
        self.addCleanup(api.close)
        found = []
        try:
            for item in api.events.follow("acme", after):
                found.append(item["id"])
        except client.ClientError as error:
            self.error = error
        return found

    def test_a_cut_feed_goes_on_at_its_last_event(self) -> None:
        found = self.follow(feed(event(5), event(7)), CUT, feed(event(7), event(8), cut=False))
        self.assertEqual(["e5", "e7", "e8"], found)
        self.assertEqual(["4", "6", "6", "7"], [cursor(seen) for seen in self.server.seen])
        self.assertIsInstance(self.error, client.NotFound)

    def test_events_of_one_commit_are_all_seen_once_though_the_cut_is_between_them(self) -> None:
        found = self.follow(feed(event(5, "a")), feed(event(5, "a"), event(5, "b"), event(6, "c")))
        self.assertEqual(["a", "b", "c"], found)

    def test_a_line_cut_in_its_middle_comes_again(self) -> None:
        found = self.follow(feed(event(5), event(6)[:9]), feed(event(5), event(6)))
        self.assertEqual(["e5", "e6"], found)

    def test_bookmarks_move_the_cursor(self) -> None:
        self.assertEqual([], self.follow(feed(b"\n", bookmark(40), b"\n"), after=None))
        self.assertEqual([None, "40"], [cursor(seen) for seen in self.server.seen])

    def test_a_cursor_too_old_is_told(self) -> None:
        self.assertEqual(["e5"], self.follow(feed(event(5)), problem(410, "apisvc.cursor.expired")))
        self.assertIsInstance(self.error, client.CursorExpired)

    def test_an_error_in_the_feed_is_an_error_of_the_feed(self) -> None:
        expired = {"error": {"status": 410, "code": "apisvc.cursor.expired", "detail": "Too old."}}
        self.assertEqual(["e5"], self.follow(feed(event(5), json.dumps(expired).encode() + b"\n", cut=False)))
        self.assertIsInstance(self.error, client.CursorExpired)
        passing = {"error": {"status": 503, "code": "apisvc.store.unavailable", "detail": "Wait."}}
        broken = feed(json.dumps(passing).encode() + b"\n", cut=False)
        self.assertEqual(["e5"], self.follow(broken, feed(event(5))))

    def test_a_service_that_is_away_is_waited_for(self) -> None:
        away = [problem(503, "apisvc.unavailable", headers={"Retry-After": "2"})] * 7
        self.assertEqual(["e5"], self.follow(*away, feed(event(5))))

    def test_a_feed_of_something_else_is_a_bad_answer(self) -> None:
        for line in (b"<html>\n", b"[]\n", b'{"id": 1}\n'):
            self.follow(feed(line))
            self.assertIsInstance(self.error, client.BadAnswer)


class WaitTest(unittest.TestCase):
    def instance(self, state: str, generation: int = 1, observed: int = 1, **status: Any) -> dict[str, Any]:
        return {
            "id": "i1",
            "tenant_id": "t1",
            "name": "web",
            "revision": 9,
            "generation": generation,
            "status": {"state": state, "observed_generation": observed, "fault": None, **status},
        }

    def wait(
        self, states: object, *looks: dict[str, Any] | None, events: list[Reply], timeout: float = 60
    ) -> Any:
        """Wait while GET answers ``looks`` one by one and the feed ``events``."""
        answers = list(looks)

        def route(seen: scripted.Seen) -> Reply | None:
            if "/events" in seen.path:
                return events.pop(0) if events else problem(429, "apisvc.request.rate_limited")
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return Reply(200, found) if found else problem(404, "apisvc.resource.not_found")

        server = self.enterContext(scripted.ScriptedServer(route=route))
        self.time = FakeTime()
        self.told: list[str] = []
        api = client.Client(server.url, "t", clock=self.time.clock, sleep=self.time.sleep)
        self.addCleanup(api.close)
        return api.wait(
            self.instance("pending", observed=0),
            states,
            timeout,
            lambda seen: self.told.append(seen["status"]["state"]),
        )

    def test_events_say_when_to_look(self) -> None:
        done = self.wait(
            "active",
            self.instance("pending", observed=0),
            self.instance("building"),
            self.instance("active"),
            events=[feed(event(10), event(11))],
        )
        self.assertEqual("active", done["status"]["state"])
        self.assertEqual(["pending", "building", "active"], self.told)
        self.assertEqual([], self.time.pauses)

    def test_without_a_feed_it_looks_by_the_clock(self) -> None:
        refusal = [problem(403, "apisvc.policy.denied")]
        self.wait(
            "active",
            self.instance("building"),
            self.instance("building"),
            self.instance("active"),
            events=refusal,
        )
        self.assertEqual([1.0, 1.0], self.time.pauses)

    def test_a_state_of_before_does_not_count(self) -> None:
        done = self.wait(
            "active",
            self.instance("active", generation=1, observed=0),
            self.instance("active"),
            events=[feed(event(10))],
        )
        self.assertEqual(1, done["status"]["observed_generation"])

    def test_gone(self) -> None:
        self.assertIsNone(self.wait("gone", self.instance("deleting"), None, events=[feed(event(10))]))
        with self.assertRaises(errors.WaitFailed):
            self.wait("active", None, events=[])

    def test_a_fault_for_good_ends_it_and_a_passing_one_does_not(self) -> None:
        fault = {"code": "no_capacity", "message": "Full.", "retryable": True}
        passing = self.instance("error", fault=fault)
        self.wait("active", passing, self.instance("active"), events=[feed(event(10))])
        lasting = self.instance("error", fault={**fault, "retryable": False})
        with self.assertRaisesRegex(errors.WaitFailed, r"Full\. \(no_capacity\)"):
            self.wait("active", lasting, events=[])

    def test_what_ended_does_not_run(self) -> None:
        with self.assertRaisesRegex(errors.WaitFailed, "ended with exit code 3"):
            self.wait("active", self.instance("stopped", exit_code=3), events=[])
        self.wait(["active", "stopped"], self.instance("stopped", exit_code=3), events=[])

    def test_time_is_up(self) -> None:
        refusal = [problem(403, "apisvc.policy.denied")]
        with self.assertRaisesRegex(errors.WaitTimeout, "still building after 5 seconds") as caught:
            self.wait("active", self.instance("building"), events=refusal, timeout=5)
        assert caught.exception.instance is not None
        self.assertEqual("building", caught.exception.instance["status"]["state"])
