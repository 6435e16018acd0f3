"""Deadlines, safe repetition, and the meaning of what comes back."""

import threading
import time
import unittest
import uuid
from collections.abc import Iterator

from apisvc import client
from apisvc.client import wire
from tests import ports
from tests.unit.client import scripted
from tests.unit.client.scripted import CUT, Reply, problem


class FakeTime:
    """A clock that moves by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Served(unittest.TestCase):
    """A client of a scripted server, with a clock of its own."""

    def serve(self, *replies: Reply) -> scripted.ScriptedServer:
        server = self.enterContext(scripted.ScriptedServer(replies))
        self.time = FakeTime()
        self.api = client.Client(
            server.url, "apisvc_secret", timeout=20, clock=self.time.clock, sleep=self.time.sleep
        )
        self.addCleanup(self.api.close)
        return server


class TransportTest(Served):
    def test_a_call_sends_the_token_and_decodes_the_answer(self) -> None:
        server = self.serve(Reply(200, {"id": "u1"}))
        self.assertEqual({"id": "u1"}, self.api.user.get())
        self.assertEqual("apisvc_secret", server.seen[0].headers["X-Auth-Token"])
        self.assertNotIn("Authorization", server.seen[0].headers)

    def test_an_answer_may_close_the_connection(self) -> None:
        self.serve(Reply(200, {"id": "u1"}, {"Connection": "close"}), Reply(200, {"id": "u2"}))
        self.assertEqual(["u1", "u2"], [self.api.user.get()["id"] for _ in range(2)])

    def test_get_is_repeated_after_a_cut_and_after_503(self) -> None:
        server = self.serve(
            CUT,
            problem(503, "apisvc.store.unavailable"),
            Reply(502, b"<html>", media="text/html"),
            Reply(200, {"ok": 1}),
        )
        self.assertEqual({"ok": 1}, self.api.call("GET", "/v1"))
        self.assertEqual(4, len(server.seen))
        self.assertEqual(3, len(self.time.pauses))

    def test_retry_after_is_honoured(self) -> None:
        self.serve(problem(429, "apisvc.request.rate_limited", headers={"Retry-After": "7"}), Reply(200, {}))
        self.api.call("GET", "/v1")
        self.assertEqual([7.0], self.time.pauses)

    def test_retry_after_beyond_the_deadline_fails_at_once(self) -> None:
        server = self.serve(
            problem(503, "apisvc.unavailable", headers={"Retry-After": "3600"}), Reply(200, {})
        )
        with self.assertRaises(client.ServiceUnavailable) as caught:
            self.api.call("GET", "/v1")
        self.assertEqual(3600.0, caught.exception.retry_after)
        self.assertEqual(([], 1), (self.time.pauses, len(server.seen)))

    def test_attempts_are_bounded(self) -> None:
        server = self.serve(*[problem(503, "apisvc.unavailable")] * 9)
        with self.assertRaises(client.ServiceUnavailable):
            self.api.call("GET", "/v1")
        self.assertEqual(5, len(server.seen))

    def test_post_is_repeated_with_the_same_key(self) -> None:
        server = self.serve(
            CUT,
            problem(503, "apisvc.store.unavailable"),
            Reply(202, {"id": "i1"}),
        )
        self.assertEqual({"id": "i1"}, self.api.instances.create("acme", name="web"))
        keys = {seen.headers["Idempotency-Key"] for seen in server.seen}
        self.assertEqual((3, 1), (len(server.seen), len(keys)))
        uuid.UUID(keys.pop())

    def test_two_posts_have_two_keys_unless_named(self) -> None:
        server = self.serve(*[Reply(202, {})] * 3)
        self.api.instances.create("acme")
        self.api.instances.create("acme")
        self.api.instances.create("acme", idempotency_key="mine")
        keys = [seen.headers["Idempotency-Key"] for seen in server.seen]
        self.assertNotEqual(keys[0], keys[1])
        self.assertEqual("mine", keys[2])

    def test_post_is_not_repeated_after_other_conflicts(self) -> None:
        server = self.serve(problem(409, "apisvc.resource.exists"), Reply(202, {}))
        with self.assertRaises(client.Conflict):
            self.api.instances.create("acme", name="web")
        self.assertEqual(1, len(server.seen))

    def test_patch_is_not_repeated_once_it_may_have_arrived(self) -> None:
        for reply in (CUT, problem(503, "apisvc.store.unavailable")):
            with self.subTest(reply.status):
                server = self.serve(reply, Reply(200, {}))
                with self.assertRaises((client.Unreachable, client.ServiceUnavailable)):
                    self.api.tenants.update("acme", description="x")
                self.assertEqual(1, len(server.seen))

    def test_patch_is_repeated_when_turned_away(self) -> None:
        server = self.serve(problem(429, "apisvc.request.rate_limited"), Reply(200, {"id": "t"}))
        self.api.tenants.update("acme", if_match=7, description="x")
        self.assertEqual(['"7"', '"7"'], [seen.headers["If-Match"] for seen in server.seen])

    def test_delete_that_was_done_by_a_lost_attempt_is_done(self) -> None:
        self.serve(CUT, problem(404, "apisvc.resource.not_found"))
        self.assertIsNone(self.api.flavors.delete("tiny"))

    def test_delete_of_what_is_not_there_is_not_found(self) -> None:
        self.serve(problem(404, "apisvc.resource.not_found"))
        with self.assertRaises(client.NotFound):
            self.api.flavors.delete("tiny")
        self.serve(problem(503, "apisvc.unavailable"), problem(404, "apisvc.resource.not_found"))
        with self.assertRaises(client.NotFound):
            self.api.flavors.delete("tiny")

    def test_errors_carry_the_problem(self) -> None:
        self.serve(
            problem(
                400, "apisvc.request.invalid", "Bad.", errors=[{"pointer": "/name", "detail": "too long"}]
            )
        )
        with self.assertRaises(client.InvalidRequest) as caught:
            self.api.instances.create("acme", name="x" * 99)
        error = caught.exception
        self.assertEqual(
            ("apisvc.request.invalid", 400, "req-1"), (error.code, error.status, error.request_id)
        )
        self.assertEqual(["/name: too long"], [str(item) for item in error.errors])

    def test_quota_errors_name_the_limits(self) -> None:
        exceeded = {"resource": "vcpus", "limit": 2, "used": 2, "asked": 1, "free": 0}
        self.serve(problem(403, "apisvc.quota.exceeded", exceeded=[exceeded]))
        with self.assertRaises(client.QuotaExceeded) as caught:
            self.api.instances.create("acme")
        self.assertEqual((exceeded,), caught.exception.exceeded)

    def test_another_service_is_a_bad_answer(self) -> None:
        for reply in (
            Reply(200, b"<html>", media="text/html"),
            Reply(404, b"<html>", media="text/html"),
            Reply(200, b"{", media="application/json"),
            Reply(301, None, {"Location": "https://elsewhere/"}),
        ):
            with self.subTest(reply.status):
                self.serve(reply)
                with self.assertRaises(client.BadAnswer):
                    self.api.call("GET", "/v1")

    def test_nobody_listens(self) -> None:
        now = FakeTime()
        port = ports.reserve(self.addCleanup)
        api = client.Client(f"http://127.0.0.1:{port}", "t", clock=now.clock, sleep=now.sleep, attempts=2)
        with self.assertRaises(client.Unreachable) as caught:
            api.tenants.update("acme")
        self.assertEqual(f"Cannot reach http://127.0.0.1:{port}: connection refused.", str(caught.exception))
        self.assertEqual(1, len(now.pauses), "what cannot have arrived is repeated, even a PATCH")

    def test_tls_on_a_plain_port_is_said_once(self) -> None:
        server = self.serve()
        now = FakeTime()
        api = client.Client(server.url.replace("http:", "https:"), "t", clock=now.clock, sleep=now.sleep)
        with self.assertRaisesRegex(client.Unreachable, "TLS failed.*http://"):
            api.user.get()
        self.assertEqual([], now.pauses)

    def test_a_dripping_server_does_not_outlive_the_deadline(self) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)

        def drip():
            while not stop.wait(0.02):
                yield b" "

        server = self.enterContext(scripted.ScriptedServer([Reply(200, chunks=drip())]))
        api = client.Client(server.url, "t")
        begin = time.monotonic()
        with self.assertRaises(client.DeadlineExceeded):
            api.call("GET", "/v1", timeout=0.3)
        self.assertLess(time.monotonic() - begin, 15)

    def test_a_quiet_stream_outlives_the_deadline_of_calls_also_over_http_1_0(self) -> None:
        for old in (False, True):
            with self.subTest(old=old):
                quiet = threading.Event()

                def lines(quiet: threading.Event = quiet) -> Iterator[bytes]:
                    yield b"one\n"
                    quiet.wait(3.0)
                    yield b"two\n"

                server = self.enterContext(
                    scripted.ScriptedServer([Reply(200, chunks=lines(), old=old, media="text/plain")])
                )
                with client.Client(server.url, "t", timeout=1.5) as api:
                    self.assertEqual(b"one\ntwo\n", b"".join(api.instances.follow_logs("acme", "web")))

    def test_a_silent_server_does_not_outlive_the_deadline(self) -> None:
        stop = threading.Event()
        self.addCleanup(stop.set)

        def silence():
            stop.wait(30)
            yield b"{}"

        server = self.enterContext(scripted.ScriptedServer([Reply(200, chunks=silence())]))
        begin = time.monotonic()
        with self.assertRaises(client.DeadlineExceeded):
            client.Client(server.url, "t").call("GET", "/v1", timeout=0.3)
        self.assertLess(time.monotonic() - begin, 15)


class PagingTest(Served):
    def test_pages_follow_next_on_our_host_only(self) -> None:
        server = self.serve(
            Reply(
                200, {"tenants": [{"id": "a"}], "next": "https://elsewhere.example/v1/admin/tenants?marker=a"}
            ),
            Reply(200, {"tenants": [], "next": "/v1/admin/tenants?marker=b&limit=1"}),
            Reply(200, {"tenants": [{"id": "c"}], "next": None}),
        )
        found = [tenant["id"] for tenant in self.api.tenants.list(limit=1, label=["a=1", "b"])]
        self.assertEqual(["a", "c"], found)
        self.assertEqual(
            [
                "/v1/admin/tenants?limit=1&label=a%3D1&label=b",
                "/v1/admin/tenants?marker=a",
                "/v1/admin/tenants?marker=b&limit=1",
            ],
            [seen.path for seen in server.seen],
        )


class WireTest(unittest.TestCase):
    def test_base_url(self) -> None:
        for given, expected in {
            "http://h:5000": "http://h:5000",
            "http://h:5000/v1/": "http://h:5000",
            " https://h/cloud/ ": "https://h/cloud",
            "https://h/cloud/v1": "https://h/cloud",
        }.items():
            self.assertEqual(expected, wire.base_url(given))

    def test_what_is_no_url_is_said(self) -> None:
        for given in (
            "",
            "h:5000",
            "ftp://h",
            "http://",
            "http://h:x",
            "http://h:99999",
            "http://u:p@h",
            "http://h?a",
        ):
            with self.subTest(given), self.assertRaises(ValueError) as caught:
                wire.base_url(given)
            self.assertIn("URL", str(caught.exception))

    def test_a_name_cannot_leave_its_place_in_a_path(self) -> None:
        self.assertEqual("/v1/tenants/a%2F..%2Fb%3Fc", wire.path("tenants", "a/../b?c"))
        for part in ("", ".", ".."):
            with self.assertRaises(ValueError):
                wire.path("tenants", part)

    def test_relative_keeps_below_the_prefix(self) -> None:
        self.assertEqual("/v1/x?m=1", wire.relative("http://h/cloud/v1/x?m=1", "http://h/cloud"))
        self.assertEqual("/v1/x", wire.relative("/v1/x", "http://h"))

    def test_retry_after(self) -> None:
        self.assertEqual(3.0, wire.retry_after("3"))
        self.assertEqual(0.0, wire.retry_after("Wed, 21 Oct 2015 07:28:00 GMT"))
        self.assertEqual(0.0, wire.retry_after("Wed, 21 Oct 2015 07:28:00 -0000"))
        self.assertIsNone(wire.retry_after("soon"))
        self.assertIsNone(wire.retry_after(None))
