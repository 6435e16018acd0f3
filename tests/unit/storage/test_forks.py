"""A process that forks while its threads are within a library."""

import os
import threading

import testtools

from apisvc.storage import forks
from tests.functional import deployment


class TestFence(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.fence = forks.Fence()

    def fork(self) -> int:
        """The exit status of a child that goes within, and out again."""
        child = os.fork()
        if child == 0:
            with self.fence:
                os._exit(0)
        return os.waitpid(child, 0)[1]

    def test_a_fork_waits_for_who_is_within_and_lets_nobody_in_before(self) -> None:
        leave, ends = threading.Event(), []
        within = threading.Thread(target=self.stay, args=(leave, "first", ends), daemon=True)
        within.start()
        deployment.wait_for("it is within", lambda: self.fence._within == 1)
        forking = threading.Thread(target=lambda: ends.append(("fork", self.fork())), daemon=True)
        forking.start()
        deployment.wait_for("the fork waits", lambda: self.fence._forking == 1)
        late = threading.Thread(target=self.stay, args=(leave, "late", ends), daemon=True)
        late.start()
        self.assertEqual([], ends)
        leave.set()
        for thread in (within, forking, late):
            thread.join(60)
        self.assertEqual("first", ends[0])
        self.assertIn(("fork", 0), ends)
        self.assertEqual((0, 0), (self.fence._within, self.fence._forking))

    def stay(self, leave: threading.Event, name: str, ends: list[object]) -> None:
        with self.fence:
            leave.wait(60)
            ends.append(name)

    def test_one_who_never_leaves_does_not_keep_a_process_from_forking(self) -> None:
        self.fence.PATIENCE = 0.05
        with self.fence:
            self.assertEqual(0, self.fork())
        self.assertEqual(0, self.fork())
