import os
import ssl
import tempfile
import threading
import time
import unittest

import fixtures

from apisvc.compute import base
from apisvc.compute.kubernetes import objects, rate
from tests import ports
from tests.unit.client import scripted
from tests.unit.compute.kubernetes import cluster


def soon(seconds=20.0):
    return time.monotonic() + seconds


class TestRequests(unittest.TestCase):
    def serve(self, *replies, route=None):
        server = scripted.ScriptedServer(replies, route)
        server.__enter__()
        self.addCleanup(server.__exit__)
        return server

    def api(self, server, **given):
        made = cluster.api(server.url, **given)
        self.addCleanup(made.close)
        return made

    def test_credentials_go_with_every_request(self):
        server = self.serve(cluster.ok({"gitVersion": "v1.37.2"}))
        found = self.api(server).get("/version", objects.Version, deadline=soon())
        self.assertEqual("v1.37.2", found.git_version)
        self.assertEqual("Bearer secret-1", server.seen[0].headers["authorization"])

    def test_a_rotated_token_is_read_anew_once(self):
        with tempfile.TemporaryDirectory() as folder:
            token, path = os.path.join(folder, "token"), os.path.join(folder, "config")
            self.write(token, "old")

            def route(seen):
                good = seen.headers.get("authorization") == "Bearer new"
                return cluster.ok({"metadata": {}}) if good else cluster.status(401, "Unauthorized")

            server = self.serve(route=route)
            self.write(path, cluster.kubeconfig(server.url, tokenFile=token))
            api = self.api(server, kubeconfig=path)
            api.sessions.get().opened -= 10
            self.write(token, "new")
            self.assertIsNotNone(api.get("/x", objects.Bare, deadline=soon()))
            self.assertEqual(2, len(server.seen))
            self.write(token, "newer")
            self.assertIsNotNone(api.get("/x", objects.Bare, deadline=soon()))
            self.assertEqual(3, len(server.seen), "what is good is not read again")

    def test_a_token_that_stays_refused(self):
        server = self.serve(route=lambda seen: cluster.status(401, "Unauthorized"))
        api = self.api(server)
        api.sessions.get().opened -= 10
        with self.assertRaises(base.Unauthorized):
            api.get("/x", objects.Bare, deadline=soon())
        self.assertEqual(2, len(server.seen))

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)

    def test_a_kubeconfig_that_is_not_there_or_makes_no_sense(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "config")
            api = cluster.api("", kubeconfig=path)
            for content in (None, "", "[1]", "{}", "\tx: [", '{"clusters": [], "contexts": []}'):
                if content is not None:
                    self.write(path, content)
                with self.assertRaises(base.Unavailable) as caught, fixtures.FakeLogger():
                    api.get("/x", objects.Bare, deadline=soon())
                self.assertNotIn(folder, caught.exception.message)
            self.write(path, cluster.kubeconfig("http://127.0.0.1:1"))
            with self.assertRaisesRegex(base.Unavailable, "cannot be reached"):
                api.get("/x", objects.Bare, deadline=soon())

    def test_errors_of_the_server(self):
        server = self.serve(
            cluster.status(429, "slow down", headers={"Retry-After": "4"}),
            cluster.status(422, "Pod is invalid: no"),
            cluster.status(404, 'pods "x" not found'),
            scripted.Reply(200, b"{not json"),
        )
        api = self.api(server)
        with self.assertRaises(base.RateLimited) as caught:
            api.get("/x", objects.Bare, deadline=soon())
        self.assertEqual(4, caught.exception.retry_after)
        with self.assertRaisesRegex(base.InvalidSpec, "Pod is invalid: no"):
            api.apply("/x", {}, objects.Bare, deadline=soon())
        self.assertIsNone(api.get("/x", objects.Bare, deadline=soon()))
        with self.assertRaises(base.DriverBug):
            api.get("/x", objects.Bare, deadline=soon())

    def test_nobody_there(self):
        api = cluster.api(f"http://127.0.0.1:{ports.reserve(self.addCleanup)}")
        with self.assertRaises(base.Unavailable) as caught:
            api.get("/x", objects.Bare, deadline=soon())
        self.assertNotIn("127.0.0.1", caught.exception.message)

    def test_a_server_that_does_not_answer_is_a_timeout_by_the_deadline(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        server = self.serve(route=lambda seen: gate.wait(60) and None)
        started = time.monotonic()
        with self.assertRaises(base.Timeout):
            self.api(server).get("/x", objects.Bare, deadline=soon(0.5))
        self.assertLess(time.monotonic() - started, 20)
        with self.assertRaises(base.Timeout):
            self.api(server).get("/x", objects.Bare, deadline=soon(-1))
        with self.assertRaises(base.Timeout):
            self.api(server, request_timeout=0.3).get("/x", objects.Bare, deadline=soon(60))

    def test_a_connection_closed_without_an_answer_is_tried_once_more(self):
        server = self.serve(scripted.CUT, cluster.ok({"metadata": {"name": "x"}}), scripted.CUT, scripted.CUT)
        api = self.api(server)
        self.assertEqual("x", api.get("/x", objects.Bare, deadline=soon()).metadata.name)
        with self.assertRaises(base.Unavailable):
            api.get("/x", objects.Bare, deadline=soon())
        self.assertEqual(4, len(server.seen))

    def test_a_server_that_speaks_no_tls_we_trust(self):
        server = self.serve(cluster.ok({}))
        api = cluster.api(server.url.replace("http:", "https:"))
        with self.assertRaises(base.Unavailable), fixtures.FakeLogger():
            api.get("/x", objects.Bare, deadline=soon())
        self.assertTrue(ssl.OPENSSL_VERSION)

    # Lists

    def test_lists_are_read_to_their_end(self):
        one, two = cluster.pod("a"), cluster.pod("b")
        server = self.serve(cluster.listing([one], "7", "next"), cluster.listing([two], "7"))
        found, version = self.api(server).listed("/pods", objects.PodList, deadline=soon(), labelSelector="x")
        self.assertEqual((["i-a", "i-b"], "7"), ([pod.metadata.name for pod in found], version))
        self.assertIn("continue=next", server.seen[1].path)
        self.assertIn("labelSelector=x", server.seen[1].path)

    def test_a_list_whose_pages_are_forgotten_is_begun_again(self):
        stale = cluster.status(410, "The provided continue parameter is too old")
        one, two = cluster.pod("a"), cluster.pod("b")
        server = self.serve(
            cluster.listing([one], "7", "next"),
            stale,
            cluster.listing([two], "9", "n"),
            cluster.listing([one]),
        )
        found, _ = self.api(server).listed("/pods", objects.PodList, deadline=soon())
        self.assertEqual(["i-b", "i-a"], [pod.metadata.name for pod in found])

    def test_a_list_is_never_a_part(self):
        server = self.serve(cluster.listing([cluster.pod("a")], "7", "next"), cluster.status(500, "no"))
        with self.assertRaises(base.Unavailable):
            self.api(server).listed("/pods", objects.PodList, deadline=soon())
        stale = cluster.status(410, "too old")
        server = self.serve(*[cluster.listing([], "7", "next"), stale] * 3)
        with self.assertRaises(base.InProgress):
            self.api(server).listed("/pods", objects.PodList, deadline=soon())

    # Deleting

    def test_deletes_of_what_is_gone_or_another_are_done(self):
        server = self.serve(
            cluster.status(404, "not found"),
            cluster.status(409, "the UID in the precondition does not match"),
            cluster.status(409, "busy"),
            cluster.status(404, 'namespaces "x" not found'),
        )
        api = self.api(server)
        self.assertIsNone(api.delete("/x", deadline=soon()))
        self.assertIsNone(api.delete("/x", deadline=soon(), uid="u", version="3"))
        self.assertEqual({"uid": "u", "resourceVersion": "3"}, server.seen[1].body["preconditions"])
        with self.assertRaises(base.InProgress):
            api.delete("/x", deadline=soon())
        api.delete_all("/secrets", "a=b", deadline=soon())

    def test_two_backends_share_nothing(self):
        one, two = self.serve(cluster.ok({})), self.serve(cluster.ok({}))
        first = cluster.api(one.url, kubeconfig=cluster.kubeconfig(one.url, token="first"))
        second = cluster.api(two.url, kubeconfig=cluster.kubeconfig(two.url, token="second"))
        for api in (first, second):
            api.get("/x", objects.Bare, deadline=soon())
        self.assertEqual("Bearer first", one.seen[0].headers["authorization"])
        self.assertEqual("Bearer second", two.seen[0].headers["authorization"])


class TestRate(unittest.TestCase):
    def setUp(self):
        self.now, self.slept = 100.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def bucket(self, qps, burst):
        return rate.Bucket(qps, burst, clock=lambda: self.now, sleep=self.sleep)

    def test_a_burst_and_then_the_rate(self):
        bucket = self.bucket(10, 3)
        for _ in range(5):
            bucket.take(self.now + 60)
        self.assertEqual([0.1, 0.1], [round(pause, 6) for pause in self.slept])

    def test_what_is_not_used_is_saved_up_to_the_burst(self):
        bucket = self.bucket(10, 2)
        self.now += 1000
        for _ in range(3):
            bucket.take(self.now + 60)
        self.assertEqual(1, len(self.slept))

    def test_none_before_the_deadline(self):
        bucket = self.bucket(1, 1)
        bucket.take(self.now + 60)
        with self.assertRaises(base.RateLimited) as caught:
            bucket.take(self.now + 0.5)
        self.assertAlmostEqual(1.0, caught.exception.retry_after)
        self.assertEqual([], self.slept)
        bucket.take(self.now + 60)
        self.assertEqual([1.0], self.slept)
