"""What is counted of a store, and that nothing else of it changes."""

import os
import subprocess
import sys
import time

import fixtures
import prometheus_client
import testtools

from apisvc import errors
from apisvc.storage import base, measured
from apisvc.storage.mirror import store as mirror
from tests.functional import deployment
from tests.unit.storage import breakable


def figure(name, **labels):
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0.0


class Growth:
    """How much a figure has grown since."""

    def __init__(self, name, **labels):
        self._what = (name, labels)
        self._before = figure(name, **labels)

    @property
    def by(self):
        name, labels = self._what
        return figure(name, **labels) - self._before


class TestMeasured(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.behind = breakable.BreakableStore()
        self.store = measured.Measured(self.behind)
        self.addCleanup(self.store.close)

    def test_every_call_has_a_name_and_is_counted(self):
        lease = self.store.lease(60)
        revision = self.store.commit([], [base.Put("a", b"1", lease.id)])
        grown = {call: Growth("apisvc_store_call_seconds_count", call=call) for call in measured.CALLS}
        self.store.get(["a"])
        self.store.scan("")
        self.store.revision()
        self.store.ping()
        self.store.examine()
        self.store.lease(60)
        self.store.commit([], [])
        self.store.compact(revision)
        self.store.watch("", after=revision).close()
        lease.keep_alive()
        lease.revoke()
        self.assertEqual(dict.fromkeys(measured.CALLS, 1.0), {call: g.by for call, g in grown.items()})

    def test_errors_are_counted_by_their_kind(self):
        revision = self.store.commit([], [base.Put("a", b"1")])
        gone = self.store.lease(60)
        gone.revoke()
        self.store.compact(self.store.commit([], [base.Put("a", b"2")]))
        for call, kind, error, provoke in (
            ("commit", "conflict", base.Conflict, lambda: self.store.commit([base.Absent("a")], [])),
            ("commit", "invalid", base.InvalidOperation, lambda: self.store.commit([base.Absent("")], [])),
            ("keep_alive", "lease_lost", base.LeaseLost, gone.keep_alive),
            ("scan", "compacted", base.Compacted, lambda: self.store.scan("", revision=revision)),
            ("get", "bug", TypeError, lambda: self.store.get(None)),
        ):
            grown = Growth("apisvc_store_call_errors_total", call=call, kind=kind)
            self.assertRaises(error, provoke)
            self.assertEqual(1.0, grown.by, (call, kind))
        self.behind.away = True
        grown = Growth("apisvc_store_call_errors_total", call="get", kind="unavailable")
        timed = Growth("apisvc_store_call_seconds_count", call="get")
        self.assertRaises(errors.StoreUnavailable, self.store.get, ["a"])
        self.assertEqual((1.0, 1.0), (grown.by, timed.by))

    def test_a_watch_that_breaks_is_counted(self):
        watch = self.store.watch("", after=self.store.revision())
        grown = Growth("apisvc_store_call_errors_total", call="watch", kind="unavailable")
        self.behind.away = True
        self.assertRaises(errors.StoreUnavailable, watch.poll, 10)
        self.assertEqual(1.0, grown.by)
        watch.close()
        self.assertTrue(watch.closed)

    def test_the_lag_of_watches_is_that_behind_our_own_commits(self):
        watch = self.store.watch("", after=self.store.revision())
        self.addCleanup(watch.close)
        seconds = Growth("apisvc_store_watch_lag_seconds_sum")
        count = Growth("apisvc_store_watch_lag_seconds_count")
        self.store.commit([], [base.Put("a", b"1")])
        begun = time.monotonic()
        deployment.wait_for("some time is over", lambda: time.monotonic() > begun + 0.05)
        self.assertEqual(0.0, count.by)
        self.assertIsNotNone(watch.poll(10))
        self.assertEqual(1.0, count.by)
        self.assertGreaterEqual(seconds.by, 0.05)

    def test_without_a_watch_nothing_lags(self):
        self.store.watch("", after=self.store.revision()).close()
        count = Growth("apisvc_store_watch_lag_seconds_count")
        self.store.commit([], [base.Put("a", b"1")])
        watch = self.store.watch("", after=0)
        self.addCleanup(watch.close)
        self.assertIsNotNone(watch.poll(10))
        self.assertEqual(0.0, count.by)

    def test_what_kind_of_store_it_is_stays(self):
        self.assertEqual(
            (self.behind.shared, self.behind.remote, self.behind.conf),
            (self.store.shared, self.store.remote, self.store.conf),
        )
        self.assertEqual(self.behind.examine(), self.store.examine())


class TestMirrorFigures(testtools.TestCase):
    def test_a_process_without_a_mirror_is_not_one_at_revision_0(self):
        """As gunicorn's first process is, which reads nothing, and every command of a moment."""
        folder = self.useFixture(fixtures.TempDir()).path
        code = "import apisvc.storage.mirror.store; import apisvc.commands.manage"
        environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder}
        subprocess.run([sys.executable, "-c", code], check=True, env=environ, timeout=120)
        self.assertEqual([], [name for name in os.listdir(folder) if name.startswith("gauge")])

    def test_revision_size_and_age(self):
        behind = breakable.BreakableStore()
        copy = mirror.Mirror(measured.Measured(behind), left_out=())
        self.addCleanup(copy.close)
        copy.commit([], [base.Put("a", b"12345"), base.Put("b", b"1")])
        copy.get(["a"])
        revision = copy.commit([], [base.Put("a", b"1"), base.Delete("b"), base.Put("c", b"")])

        def told():
            figures = ("revision", "records", "bytes")
            return tuple(figure(f"apisvc_mirror_{name}") for name in figures)

        # Nobody reads: it looks by itself.
        deployment.wait_for("the figures are told", lambda: told() == (revision, 2, 3))
        self.assertLess(figure("apisvc_mirror_age_seconds"), 10)
        behind.away = True
        deployment.wait_for("the age grows", lambda: figure("apisvc_mirror_age_seconds") > 2.5)

    def test_steady_changes_do_not_make_it_look_old(self):
        """It is not only when nothing comes that it asks whether that was all."""
        behind = breakable.BreakableStore()
        copy = mirror.Mirror(behind, left_out=())
        self.addCleanup(copy.close)
        copy.get(["a"])
        first = copy.follower.complete_at

        def changed():
            behind.commit([], [base.Put("a", b"")])
            return copy.follower.complete_at > first

        deployment.wait_for("it knows better", changed)
