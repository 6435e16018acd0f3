"""The judge of histories is judged: it lets good ones pass and rejects bad ones."""

import math
import random

import testtools

from tests.fault import linearizability as lin


def op(begin, end, call, result=None, client=0):
    return lin.Operation(client, begin, end, call, result)


def read(begin, end, *values):
    return op(begin, end, lin.Read(tuple(range(len(values)))), values)


def write(begin, end, *values, result=True, expected=()):
    return op(begin, end, lin.Commit(tuple(expected), tuple(enumerate(values))), result)


def lost(begin, *values, expected=()):
    return op(begin, math.inf, lin.Commit(tuple(expected), tuple(enumerate(values))))


class TestJudge(testtools.TestCase):
    def judge(self, *history, size=2):
        return lin.explain(lin.Store(size), history) is not None

    def test_what_happens_one_after_the_other(self):
        self.assertTrue(self.judge())
        self.assertTrue(self.judge(read(0, 1, None), write(2, 3, "a"), read(4, 5, "a")))

    def test_a_stale_read_is_rejected(self):
        self.assertFalse(self.judge(write(0, 1, "a"), read(2, 3, None)))
        self.assertFalse(self.judge(write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a")))

    def test_a_read_may_be_either_while_a_write_is_under_way(self):
        for seen in (None, "a"):
            self.assertTrue(self.judge(write(0, 10, "a"), read(2, 3, seen)))

    def test_reads_never_go_back(self):
        self.assertTrue(self.judge(write(0, 10, "a"), read(2, 3, None), read(4, 5, "a")))
        self.assertFalse(self.judge(write(0, 10, "a"), read(2, 3, "a"), read(4, 5, None)))

    def test_two_readers_agree_on_the_order_of_two_writes(self):
        writes = [write(0, 10, "a"), write(0, 10, "b")]
        self.assertTrue(self.judge(*writes, read(1, 2, "a"), read(3, 4, "b")))
        self.assertFalse(self.judge(*writes, read(1, 2, "a"), read(3, 4, "b"), read(5, 6, "a")))

    def test_a_value_nobody_wrote_is_rejected(self):
        self.assertFalse(self.judge(write(0, 1, "a"), read(2, 3, "c")))

    def test_half_a_commit_is_rejected(self):
        self.assertTrue(self.judge(write(0, 1, "a", "b"), read(2, 3, "a", "b")))
        self.assertFalse(self.judge(write(0, 9, "a", "b"), read(2, 3, "a", None)))

    def test_a_commit_against_its_guard_is_rejected(self):
        self.assertFalse(self.judge(write(0, 1, "a"), write(2, 3, "b", expected=[(0, None)])))
        self.assertTrue(self.judge(write(0, 1, "a"), write(2, 3, "b", expected=[(0, "a")])))

    def test_a_conflict_without_a_reason_is_rejected(self):
        self.assertFalse(self.judge(write(0, 1, "a", expected=[(0, None)], result=False)))
        self.assertTrue(self.judge(write(0, 1, "a"), write(2, 3, "b", expected=[(0, None)], result=False)))

    def test_only_one_of_two_commits_on_the_same_guard_is_done(self):
        both = [write(0, 5, value, expected=[(0, None)]) for value in "ab"]
        self.assertFalse(self.judge(*both))

    def test_a_lost_write_is_done_or_not(self):
        self.assertTrue(self.judge(lost(0, "a"), read(5, 6, None)))
        self.assertTrue(self.judge(lost(0, "a"), read(5, 6, "a")))
        self.assertTrue(self.judge(lost(0, "a"), read(5, 6, None), read(7, 8, "a")))

    def test_a_lost_write_is_done_once_and_not_before_it_began(self):
        self.assertFalse(self.judge(lost(0, "a"), read(5, 6, "a"), read(7, 8, None)))
        self.assertFalse(self.judge(read(0, 1, "a"), lost(5, "a")))
        self.assertFalse(
            self.judge(lost(0, "a"), read(2, 3, "a"), write(4, 5, "b"), read(6, 7, "b"), read(8, 9, "a"))
        )

    def test_a_lost_write_under_a_guard_is_not_done_against_it(self):
        self.assertFalse(self.judge(write(0, 1, "b"), lost(2, "a", expected=[(0, None)]), read(5, 6, "a")))

    def test_the_order_is_told(self):
        history = [read(0, 10, "a"), write(1, 9, "a")]
        self.assertEqual(history[::-1], lin.explain(lin.Store(1), history))

    def test_histories_of_a_real_order_pass_and_corrupted_ones_do_not(self):
        """Operations around a hidden instant each; then one read is given another value."""
        for seed in range(50):
            rng = random.Random(seed)
            state, history = (None, None, None), []
            for number in range(60):
                begin, end = number - rng.random() * 3, number + rng.random() * 3
                if rng.random() < 0.5:
                    call = lin.Read((0, 1, 2))
                    history.append(op(begin, end, call, state))
                else:
                    key = rng.randrange(3)
                    expected = ((key, rng.choice([state[key], "other"])),)
                    call = lin.Commit(expected, ((key, number),))
                    done = expected[0][1] == state[key]
                    gone = rng.random() < 0.1
                    history.append(op(begin, math.inf if gone else end, call, None if gone else done))
                    state = lin.Store(3).step(state, call, None, True)
            self.assertTrue(self.judge(*history, size=3), f"seed {seed}")
            index = rng.choice([i for i, each in enumerate(history) if isinstance(each.call, lin.Read)])
            wrong = list(history[index].result)
            wrong[rng.randrange(3)] = "never written"
            history[index] = op(history[index].begin, history[index].end, lin.Read((0, 1, 2)), tuple(wrong))
            self.assertFalse(self.judge(*history, size=3), f"seed {seed}")

    def test_a_long_history_is_judged_quickly(self):
        history = []
        for number in range(2000):
            history += [write(number, number + 4.5, number), read(number + 0.1, number + 0.2, number)]
        self.assertFalse(self.judge(*history[:200], read(500, 501, 5), size=1))
        sequential = [write(n, n + 0.5, n) for n in range(5000)]
        self.assertTrue(self.judge(*sequential, size=1))
