import time
import uuid

import testtools

from apisvc.service import context


class Ids(testtools.TestCase):
    def test_they_are_uuids_of_version_7(self) -> None:
        made = uuid.UUID(context.Ids().new())
        self.assertEqual((7, uuid.RFC_4122), (made.version, made.variant))
        self.assertAlmostEqual(time.time(), (made.int >> 80) / 1000, delta=5)

    def test_they_sort_in_the_order_of_their_making(self) -> None:
        ids = context.Ids()

        def later() -> str:
            begun = time.time_ns()
            while time.time_ns() - begun < 1000:
                pass
            return ids.new()

        made = [later() for _ in range(500)]
        self.assertEqual(sorted(made), made)

    def test_they_differ(self) -> None:
        ids = context.Ids()
        self.assertEqual(10_000, len({ids.new() for _ in range(10_000)}))
