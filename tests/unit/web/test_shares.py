"""Who takes a connection, of processes that only know what they say of themselves."""

import os
from unittest import mock

import testtools

from apisvc.web import shares


class TestShares(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 1000.0
        clock = mock.patch.object(shares.time, "monotonic", lambda: self.now)
        clock.start()
        self.addCleanup(clock.stop)
        self.all = shares.Shares(4)
        self.one, self.two = self.all.enter(), self.all.enter()

    def test_one_alone_takes_all(self) -> None:
        self.one.tell(7)
        self.assertTrue(self.one.takes(7), "the other is not there yet")

    def test_who_has_no_more_than_the_other_takes_it(self) -> None:
        self.one.tell(3)
        self.two.tell(3)
        self.assertTrue(self.one.takes(3))
        self.assertTrue(self.two.takes(3))
        self.assertFalse(self.one.takes(4))
        self.assertTrue(self.two.takes(3))

    def test_one_is_left_for_a_moment_and_the_next_one_again(self) -> None:
        self.two.tell(1)
        for _ in range(2):
            self.assertFalse(self.one.takes(2))
            self.now += 0.6 * shares.PATIENCE
            self.assertFalse(self.one.takes(2))
            self.now += 0.6 * shares.PATIENCE
            self.assertTrue(self.one.takes(2), "nobody else did")
        self.assertFalse(self.one.takes(3))

    def test_what_another_took_does_not_count_for_the_next_one(self) -> None:
        self.two.tell(1)
        self.assertFalse(self.one.takes(2))
        self.now += 2 * shares.PATIENCE
        self.assertFalse(self.one.takes(2))

    def test_who_is_silent_or_stops_is_left_nothing(self) -> None:
        self.two.tell(1)
        self.assertFalse(self.one.takes(2))
        self.two.tell(None)
        self.assertTrue(self.one.takes(2))
        self.two.tell(1)
        self.now += shares.FRESH + 0.1
        self.assertTrue(self.one.takes(2))

    def test_a_new_one_comes_in_place_of_one_that_is_gone(self) -> None:
        shares_of_others = [self.all.enter(), self.all.enter()]
        for share in (self.one, self.two, *shares_of_others):
            self.now += 0.1
            share.tell(5)
        self.two.tell(None)
        new = self.all.enter()
        new.tell(0)
        self.assertEqual(self.two._place, new._place)
        self.assertFalse(self.one.takes(5))

    def test_another_process_sees_it(self) -> None:
        child = os.fork()
        if child == 0:
            self.two.tell(1)
            os._exit(0)
        os.waitpid(child, 0)
        self.assertFalse(self.one.takes(2))
