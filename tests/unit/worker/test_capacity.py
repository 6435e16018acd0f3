import random

import testtools

from apisvc.compute import base as compute
from apisvc.model import backends, codec
from apisvc.worker import capacity


def node(vcpus=None, ram_mb=None, disk_gb=None, used=(None, None, None), **fields):
    return compute.Node(
        **{"name": "n", "ready": True, **fields},
        vcpus=vcpus,
        ram_mb=ram_mb,
        disk_gb=disk_gb,
        vcpus_used=used[0],
        ram_mb_used=used[1],
        disk_gb_used=used[2],
    )


class SummaryTest(testtools.TestCase):
    def test_sums_and_the_rooms_that_matter(self):
        found = capacity.summary(
            [
                node(8, 1000, 100, used=(2, 500, 10)),
                node(8, 1000, 100, used=(4, 100, 10)),
                node(8, 1000, 100, used=(6, 600, 20)),  # less of everything than the first
            ],
            5.0,
        )
        self.assertEqual((5.0, 3), (found.at, found.nodes))
        self.assertEqual(backends.Room(vcpus=24.0, ram_mb=3000, disk_gb=300), found.total)
        self.assertEqual(backends.Room(vcpus=12.0, ram_mb=1800, disk_gb=260), found.free)
        self.assertEqual(
            (
                backends.Room(vcpus=6.0, ram_mb=500, disk_gb=90),
                backends.Room(vcpus=4.0, ram_mb=900, disk_gb=90),
            ),
            found.rooms,
        )
        self.assertTrue(found.holds(6, 500, 90))
        self.assertTrue(found.holds(4, 900, 0))
        self.assertFalse(found.holds(6, 900, 0))  # no single node has both

    def test_what_takes_nothing_new_has_no_room(self):
        found = capacity.summary([node(8, ready=False), node(8, schedulable=False)], 1.0)
        self.assertEqual((0, ()), (found.nodes, found.rooms))
        self.assertFalse(found.holds(0, 0, 0))

    def test_what_is_not_known_turns_nothing_away(self):
        found = capacity.summary([node(8, 1000, used=(8, 0, None)), node(None, 500)], 1.0)
        self.assertEqual(backends.Room(vcpus=None, ram_mb=1500, disk_gb=None), found.total)
        self.assertTrue(found.holds(999, 500, 999))
        self.assertTrue(found.holds(0, 1000, 999))
        self.assertFalse(found.holds(1, 1000, 0))

    def test_more_used_than_there_is_leaves_nothing_rather_than_less(self):
        found = capacity.summary([node(4, 100, 10, used=(9, 300, 99))], 1.0)
        self.assertEqual(backends.Room(vcpus=0.0, ram_mb=0, disk_gb=0), found.free)

    def test_of_many_different_nodes_it_is_bounded_and_never_turns_away_what_fits(self):
        dice = random.Random(7)
        nodes = [node(dice.randrange(99), dice.randrange(9999), dice.randrange(999)) for _ in range(2000)]
        nodes += [node(n, 10_000 - n, 500) for n in range(200)]  # none of them is worse than another
        found = capacity.summary(nodes, 1.0)
        self.assertEqual(capacity.MOST_ROOMS, len(found.rooms))
        for one in nodes:
            self.assertTrue(found.holds(one.vcpus, one.ram_mb, one.disk_gb), one)
        self.assertFalse(found.holds(200, 0, 0))
        self.assertLess(len(codec.encode(found)), 2000)
