import unittest

import msgspec

from apisvc.compute.kubernetes import nodes, objects

NODE = {
    "metadata": {"name": "n1"},
    "spec": {"unschedulable": True},
    "status": {
        "capacity": {"cpu": "4"},
        "allocatable": {"cpu": "3500m", "memory": "1Gi", "ephemeral-storage": "21474836480"},
        "conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}],
        "nodeInfo": {"kubeletVersion": "v1.37.2"},
    },
}


def placed(node, *requests):
    containers = [{"name": str(i), "resources": {"requests": one}} for i, one in enumerate(requests)]
    return msgspec.convert({"spec": {"nodeName": node, "containers": containers}}, objects.Placed)


class TestNodes(unittest.TestCase):
    def test_what_it_has_and_what_is_taken(self):
        found = msgspec.convert(NODE, objects.Node)
        used = nodes.taken(
            [
                placed("n1", {"cpu": "250m", "memory": "64Mi"}, {"cpu": "1"}),
                placed("n2", {"cpu": "9"}),
                placed("n1"),
            ]
        )
        node = nodes.node(found, used["n1"])
        self.assertEqual((3.5, 1024, 20), (node.vcpus, node.ram_mb, node.disk_gb))
        self.assertEqual((1.25, 64, 0), (node.vcpus_used, node.ram_mb_used, node.disk_gb_used))
        self.assertEqual((False, False), (node.ready, node.schedulable))
        self.assertEqual("False KubeletNotReady", node.detail["condition.Ready"])
        self.assertEqual(("v1.37.2", "4"), (node.detail["kubelet"], node.detail["capacity.cpu"]))
