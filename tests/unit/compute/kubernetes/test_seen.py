import unittest

import msgspec

from apisvc.compute import base
from apisvc.compute.kubernetes import objects, seen
from tests.unit.compute.kubernetes import cluster

Phase = base.Phase


def look(*args, **fields):
    raw = msgspec.json.encode(cluster.pod(*args, **fields))
    return seen.pod(msgspec.json.decode(raw, type=objects.Pod), cluster.NAMES)


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}
NO_ROOT = "container has runAsNonRoot and image will run as root"

#: (what the pod says, phase, reason)
PODS = (
    ({"phase": "Pending"}, Phase.CREATING, ""),
    ({"phase": "Pending", "conditions": [UNSCHEDULABLE]}, Phase.CREATING, "Unschedulable"),
    ({"phase": "Pending", "state": waiting("ContainerCreating")}, Phase.CREATING, ""),
    ({"phase": "Pending", "state": waiting("ImagePullBackOff")}, Phase.CREATING, "ImagePullBackOff"),
    ({"phase": "Pending", "state": waiting("InvalidImageName")}, Phase.FAILED, "InvalidImageName"),
    (
        {"phase": "Pending", "state": waiting("CreateContainerConfigError", NO_ROOT)},
        Phase.FAILED,
        "CreateContainerConfigError",
    ),
    (
        {"phase": "Pending", "state": waiting("CreateContainerConfigError", 'secret "x" not found')},
        Phase.CREATING,
        "CreateContainerConfigError",
    ),
    ({"state": cluster.RUNNING}, Phase.RUNNING, ""),
    (
        {"state": cluster.RUNNING, "restarts": 2, "last": cluster.ended(137, "OOMKilled")},
        Phase.RUNNING,
        "OOMKilled",
    ),
    (
        {"state": waiting("CrashLoopBackOff"), "restarts": 2, "last": cluster.ended(1, "Error")},
        Phase.STARTING,
        "CrashLoopBackOff",
    ),
    ({"state": {"terminated": cluster.ended(1, "Error")}}, Phase.STARTING, "Error"),
    (
        {"phase": "Failed", "state": {"terminated": cluster.ended(137, "OOMKilled")}},
        Phase.EXITED,
        "OOMKilled",
    ),
    (
        {"phase": "Succeeded", "state": {"terminated": cluster.ended(0, "Completed")}},
        Phase.EXITED,
        "Completed",
    ),
    ({"phase": "Failed", "reason": "Evicted"}, Phase.FAILED, "Evicted"),
    ({"phase": "Failed", "reason": "OutOfcpu"}, Phase.FAILED, "OutOfcpu"),
    (
        {"phase": "Failed", "reason": "Evicted", "state": {"terminated": cluster.ended(137, "Error")}},
        Phase.FAILED,
        "Evicted",
    ),
    ({"phase": "Unknown"}, Phase.UNKNOWN, "NodeLost"),
    (
        {"state": cluster.RUNNING, "conditions": [{"type": "Ready", "status": "False"}]},
        Phase.UNKNOWN,
        "NodeLost",
    ),
    (
        {
            "state": cluster.RUNNING,
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
        },
        Phase.RUNNING,
        "",
    ),
    ({"state": cluster.RUNNING, "going": True}, Phase.DELETING, ""),
)


class TestPods(unittest.TestCase):
    def test_each_has_its_phase(self):
        for fields, phase, reason in PODS:
            with self.subTest(fields=fields):
                observed = look(**dict(fields)).observed
                self.assertEqual((phase, reason), (observed.phase, observed.reason))

    def test_what_is_told_of_one_that_runs(self):
        observed = look("a", state=cluster.RUNNING, restarts=1, last=cluster.ended(3)).observed
        self.assertEqual(base.Tag("me", "t", "a", "spec-1", "1.0"), observed.tag)
        self.assertEqual(
            ("uid-a", "node-1", ("10.1.2.3",)), (observed.handle, observed.node, observed.addresses)
        )
        self.assertEqual((None, 1, 0), (observed.exit_code, observed.restarts, observed.reboots))
        self.assertEqual(1767225600.0, observed.started_at)
        self.assertIn("exit code 3", observed.message)

    def test_what_is_told_of_one_that_ended(self):
        observed = look(phase="Failed", state={"terminated": cluster.ended(7)}).observed
        self.assertEqual(
            (7, 1767225600.0, 1767225660.0),
            (observed.exit_code, observed.started_at, observed.finished_at),
        )

    def test_an_image_that_somebody_has_changed_is_of_no_known_spec(self):
        edited = look(image="evil:1", state=cluster.RUNNING, annotations={"apisvc/image": "busybox:1"})
        self.assertTrue(edited.edited)
        self.assertEqual("", edited.observed.tag.spec_hash)
        self.assertFalse(look(annotations={"apisvc/image": "busybox:1"}).edited)

    def test_what_its_node_gave_up_is_lost_unless_it_was_to_run_once(self):
        evicted = {"phase": "Failed", "reason": "Evicted"}
        self.assertTrue(look(**evicted).lost)
        self.assertFalse(look(**evicted, policy="Never").lost)
        self.assertFalse(look(**evicted, going=True).lost)
        self.assertFalse(look(phase="Failed", state={"terminated": cluster.ended(1)}).lost)


class TestQuantities(unittest.TestCase):
    def test_all_forms(self):
        for text, number in (
            ("250m", 0.25), ("2", 2), (3, 3), ("1Gi", 2**30), ("1G", 1e9), ("1e3", 1000), ("1E", 1e18),
            ("100Ki", 102400), ("500u", 0.0005), ("1500n", 1.5e-6), ("0.5", 0.5), ("12E2", 1200),
        ):  # fmt: skip
            with self.subTest(text=text):
                self.assertAlmostEqual(number, objects.quantity(text))
