"""What is next, and what is told, for every pod and anchor there can be together."""

import dataclasses
import json
import unittest

import msgspec

from apisvc.compute import base
from apisvc.compute.kubernetes import anchors, cache, objects, sight
from tests.unit.compute.kubernetes import cluster
from tests.unit.compute.kubernetes.test_seen import look

Phase = base.Phase
Next = sight.Next

TAG = base.Tag("me", "t", "a", "spec-2")
RUNS = look(state=cluster.RUNNING)
GOES = look(state=cluster.RUNNING, going=True)
ENDED = look(phase="Failed", state={"terminated": cluster.ended(1)})
LOST = look(phase="Failed", reason="Evicted")


def anchor(power, *, replaces="", phase=Phase.REBOOTING, uid="anchor", version="6"):
    made = anchors.manifest(
        TAG, cluster.NAMES, power=power, reboots=3, volumes=True, phase=phase, replaces=replaces, pod={"a": 1}
    )
    made["metadata"] |= {"uid": uid, "resourceVersion": version}
    raw = msgspec.json.encode(made)
    return anchors.read(msgspec.json.decode(raw, type=objects.ConfigMap), cluster.NAMES)


REST = anchor("stopped")
AGAIN = anchor("running", replaces=RUNS.uid)
FRESH = anchor("running", replaces="another")

#: (pod, anchor, what is next, phase told)
TABLE = (
    (None, None, Next.NOTHING, None),
    (RUNS, None, Next.NOTHING, Phase.RUNNING),
    (GOES, None, Next.NOTHING, Phase.DELETING),
    (ENDED, None, Next.NOTHING, Phase.EXITED),
    (LOST, None, Next.DELETE_POD, Phase.FAILED),
    (None, REST, Next.NOTHING, Phase.STOPPED),
    (GOES, REST, Next.NOTHING, Phase.STOPPING),
    (RUNS, REST, Next.DELETE_POD, Phase.STOPPING),
    (None, AGAIN, Next.CREATE_POD, Phase.REBOOTING),
    (GOES, AGAIN, Next.NOTHING, Phase.REBOOTING),
    (RUNS, AGAIN, Next.DELETE_POD, Phase.REBOOTING),
    (RUNS, FRESH, Next.DROP_ANCHOR, Phase.RUNNING),
    (GOES, FRESH, Next.NOTHING, Phase.REBOOTING),
)


class TestSight(unittest.TestCase):
    def test_the_table(self):
        for pod, found, step, phase in TABLE:
            with self.subTest(pod=pod and pod.observed.phase, anchor=found and (found.power, found.replaces)):
                one = sight.Sight(pod, found)
                observed = one.observed()
                self.assertEqual((step, phase), (one.next(), observed.phase if observed else None))

    def test_an_anchor_says_what_it_was_told(self):
        found = anchor("running", replaces="u", phase=Phase.CREATING)
        self.assertEqual((TAG, "running", "u", 3, True), (
            found.tag, found.power, found.replaces, found.reboots, found.volumes,
        ))  # fmt: skip
        self.assertEqual({"a": 1}, json.loads(found.manifest))
        self.assertEqual(TAG, sight.Sight(None, found).observed().tag)

    def test_what_stands_in_the_way_is_told(self):
        for trouble, phase in (
            (base.NoCapacity("full"), Phase.REBOOTING),
            (base.InvalidSpec("no"), Phase.FAILED),
        ):
            observed = sight.Sight(None, AGAIN, trouble).observed()
            self.assertEqual(
                (phase, type(trouble).__name__, trouble.message),
                (observed.phase, observed.reason, observed.message),
            )


class TestCache(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        self.cache = cache.Cache(clock=lambda: self.now)
        self.watch = object()
        self.cache.heard(self.watch, pods=True, anchors=True)

    def test_it_is_current_while_a_watch_is_heard(self):
        self.assertTrue(self.cache.current())
        self.now = cache.SILENCE + 1
        self.assertFalse(self.cache.current())
        self.assertTrue(self.cache.silent(self.watch))
        self.cache.heard(self.watch, pods=True)
        self.assertFalse(self.cache.current(), "of anchors nothing was heard")
        self.cache.heard(self.watch, anchors=True)
        self.assertTrue(self.cache.current())
        self.cache.end(self.watch)
        self.assertFalse(self.cache.current())

    def test_without_a_watch_nothing_is_kept(self):
        self.cache.put(RUNS)
        self.cache.end(self.watch)
        self.cache.put(RUNS)
        self.assertEqual(0, len(self.cache))

    def test_later_versions_win_in_whatever_order(self):
        older, newer = look(version="5"), look(version="9", state=cluster.RUNNING)
        self.cache.put(newer)
        self.cache.put(older)
        self.assertEqual(newer, self.cache.of("a").pod)

    def test_what_has_ended_does_not_come_back(self):
        self.cache.put(look(version="5"))
        self.cache.bury(look(version="9", going=True))
        self.cache.put(look(version="7"))
        self.assertFalse(self.cache.of("a"))
        self.assertEqual("uid-a", self.cache.ended("uid-a").uid)

    def test_what_had_lost_its_labels_only_has_not_ended(self):
        self.cache.put(look(version="5"))
        self.cache.bury(look(version="9"))
        self.assertIsNone(self.cache.ended("uid-a"))
        self.cache.put(look(version="10"))
        self.assertTrue(self.cache.of("a"))

    def test_one_that_we_ordered_away_has_ended_when_it_is_gone(self):
        self.cache.put(look(version="5"))
        marked = self.cache.mark_terminating(self.cache.of("a").pod)
        self.assertEqual((True, Phase.DELETING), (marked.terminating, self.cache.of("a").pod.observed.phase))
        self.cache.bury(look(version="9"))
        self.assertIsNotNone(self.cache.ended("uid-a"))

    def test_a_list_takes_away_what_it_lacks_and_is_older(self):
        self.cache.put(look("a", version="5"))
        self.cache.put(look("b", version="30"))
        self.cache.replace_pods([look("c", version="7")], 20)
        self.assertEqual([False, True, True], [bool(self.cache.of(one)) for one in ("a", "b", "c")])

    def test_only_what_is_known_as_it_is_tells_nothing(self):
        first = look(version="5", state=cluster.RUNNING)
        self.assertTrue(self.cache.put(first))
        self.assertFalse(
            self.cache.put(dataclasses.replace(first, version=6)), "nothing that matters changed"
        )
        self.assertTrue(self.cache.put(look(version="7", phase="Failed", reason="Evicted")))
        self.assertTrue(
            self.cache.put(look(version="7", phase="Failed", reason="Evicted")), "others wait for it"
        )

    def test_the_pod_that_stays_is_the_instances(self):
        going = look(uid="one", version="8", going=True)
        self.cache.put(going)
        self.cache.put(look(uid="two", version="7"))
        self.assertEqual("two", self.cache.of("a").pod.uid)

    def test_a_label_that_moves_to_another_instance(self):
        self.cache.put(look("a", uid="one", version="5"))
        self.cache.put(look("b", uid="one", version="6"))
        self.assertEqual([False, True], [bool(self.cache.of(one)) for one in ("a", "b")])
