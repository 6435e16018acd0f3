"""Logs against an API server that is not ready, ends, and begins again."""

import itertools
import threading
import time
import unittest
from urllib import parse

from apisvc.compute import base
from tests.unit.client import scripted
from tests.unit.compute.kubernetes import cluster


def line(second, text, fraction="000000001"):
    return f"2026-01-01T00:00:{second:02}.{fraction}Z {text}\n".encode()


class TestLogs(unittest.TestCase):
    def setUp(self):
        #: What is listed, in this order; the last one stays.
        self.pods = [cluster.pod("a", state=cluster.RUNNING)]
        self.replies = []
        self.asked = []
        self.over = threading.Event()
        self.server = scripted.ScriptedServer(route=self.route)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.addCleanup(self.over.set)
        self.driver = cluster.make_driver(self.server.url, request_timeout=1.0)
        self.addCleanup(self.driver.close)

    def route(self, seen):
        url = parse.urlsplit(seen.path)
        if not url.path.endswith("/log"):
            if "configmaps" in url.path:
                return cluster.listing()
            now = self.pods.pop(0) if len(self.pods) > 1 else self.pods[0]
            return cluster.listing([now] if now else [])
        self.asked.append(dict(parse.parse_qsl(url.query)))
        return self.replies.pop(0)

    def read(self, seconds=30.0, **request):
        return self.driver.logs("a", "t", base.LogRequest(**request), deadline=time.monotonic() + seconds)

    def test_times_are_taken_off_and_the_tail_is_asked_for(self):
        self.replies = [scripted.Reply(200, line(1, "one") + line(2, "two") + b"2026-01-01T00:00:03Z rest")]
        self.assertEqual(b"one\ntwo\nrest", b"".join(self.read(tail=3)))
        self.assertEqual({"container": "main", "timestamps": "true", "tailLines": "3"}, self.asked[0])

    def test_since_is_exact(self):
        body = line(1, "early", "1") + line(1, "late", "9") + line(2, "later", "0")
        self.replies = [scripted.Reply(200, body)]
        self.assertEqual(b"late\nlater\n", b"".join(self.read(since=1767225601.5)))
        self.assertEqual("2026-01-01T00:00:01Z", self.asked[0]["sinceTime"])

    def test_what_has_not_begun_has_printed_nothing(self):
        message = 'container "main" in pod "i-a" is waiting to start: ContainerCreating'
        self.replies = [cluster.status(400, message)]
        self.assertEqual([], list(self.read()))

    def test_following_from_before_its_beginning_over_a_restart_to_its_end(self):
        done = cluster.pod("a", phase="Failed", state={"terminated": cluster.ended(1)})
        self.pods = [self.pods[0]] * 3 + [done]
        self.replies = [
            cluster.status(400, 'container "main" in pod "i-a" is waiting to start: ContainerCreating'),
            scripted.Reply(chunks=[line(1, "one"), line(2, "two")]),
            scripted.Reply(chunks=[line(2, "two"), line(3, "three")], cut=True),
            scripted.Reply(chunks=[line(3, "three"), line(4, "four")]),
            scripted.Reply(chunks=[]),
        ]
        heard = b"".join(self.read(follow=True, tail=5))
        self.assertEqual(b"one\ntwo\nthree\nfour\n", heard)
        self.assertEqual(["5", "5", None, None], [one.get("tailLines") for one in self.asked[:4]])
        self.assertEqual("2026-01-01T00:00:02Z", self.asked[2]["sinceTime"])

    def test_a_sign_of_life_while_nothing_is_printed(self):
        def silent():
            yield line(1, "one")
            self.over.wait(60)

        self.replies = [scripted.Reply(chunks=silent())]
        feed = self.read(follow=True)
        heard = list(itertools.islice(feed, 3))
        self.assertEqual([b"one\n", b"", b""], heard)
        feed.close()

    def test_the_run_before(self):
        self.replies = [
            scripted.Reply(200, line(1, "old")),
            cluster.status(400, 'previous terminated container "main" in pod "i-a" not found'),
        ]
        self.assertEqual(b"old\n", b"".join(self.read(previous=True)))
        self.assertEqual("true", self.asked[0]["previous"])
        with self.assertRaises(base.NotFound):
            list(self.read(previous=True))

    def test_what_the_kubelet_says_itself_is_no_output(self):
        own = b"unable to retrieve container logs for containerd://abc"
        self.replies = [
            scripted.Reply(200, own),
            scripted.Reply(200, own),
            scripted.Reply(200, line(1, "one") + b"failed to create fsnotify watcher: too many open files"),
        ]
        with self.assertRaises(base.Unavailable):
            list(self.read())
        with self.assertRaises(base.NotFound):
            list(self.read(previous=True))
        self.assertEqual(b"one\n", b"".join(self.read()))

    def test_errors(self):
        starting = "the server could not find the requested resource ( pods/log i-a)"
        self.replies = [cluster.status(404, starting), cluster.status(500, "no")]
        for _ in range(2):
            with self.assertRaises(base.Unavailable):
                list(self.read())
        self.pods = [None]
        with self.assertRaises(base.NotFound):
            list(self.read())

    def test_a_node_that_does_not_answer_is_a_timeout(self):
        def silent():
            yield b"2026"
            self.over.wait(60)

        self.replies = [scripted.Reply(chunks=silent())]
        with self.assertRaises(base.Timeout):
            list(self.read(seconds=1.5))
