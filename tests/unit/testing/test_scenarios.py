"""What becomes of a scenario is told, once, with the reason."""

import unittest

from apisvc.testing import scenarios

Outcome = scenarios.Outcome


def suite():
    """Scenarios of every kind. Made here, so that no runner takes them for tests of ours."""

    class Suite(unittest.TestCase):
        cleaned = []

        def setUp(self):
            self.addCleanup(self.cleaned.append, True)

        def test_good(self):
            self.assertEqual(2, 1 + 1)

        def test_wrong(self):
            self.assertEqual(1, 2, "they\ndiffer")

        def test_raises(self):
            raise KeyError("a")

        def test_parts(self):
            for part in range(3):
                with self.subTest(part=part):
                    self.assertNotEqual(1, part)

        def test_unsupported(self):
            self.skipTest("no paper")

        def test_breaks_at_its_end(self):
            self.addCleanup(int, "x")

        def test_interrupted(self):
            raise KeyboardInterrupt

    return Suite


class TestScenarios(unittest.TestCase):
    def one(self, match):
        """The only result that is not NOT_RUN."""
        (found,) = [one for one in scenarios.run(suite(), match) if one.outcome is not Outcome.NOT_RUN]
        return found

    def test_passed_and_unsupported(self):
        self.assertEqual((Outcome.PASSED, ""), (self.one("good").outcome, self.one("good").reason))
        found = self.one("unsupported")
        self.assertEqual((Outcome.UNSUPPORTED, "no paper"), (found.outcome, found.reason))

    def test_failed(self):
        for match, reason in (
            ("wrong", "1 != 2 : they differ"),
            ("raises", "KeyError: 'a'"),
            ("parts", "1 == 1"),
            ("at_its_end", "ValueError: invalid literal for int() with base 10: 'x'"),
        ):
            found = self.one(match)
            self.assertEqual((Outcome.FAILED, reason), (found.outcome, found.reason))
            self.assertIn("Traceback", found.detail)

    def test_what_was_not_asked_for_is_told_too(self):
        made = suite()
        begun = []
        results = list(scenarios.run(made, "g*d", begun.append))
        self.assertEqual(["good"], begun)
        self.assertEqual(scenarios.names(made), [result.scenario for result in results])
        self.assertEqual(len(results) - 1, [one.outcome for one in results].count(Outcome.NOT_RUN))

    def test_an_interrupted_scenario_cleans_up(self):
        made = suite()
        with self.assertRaises(KeyboardInterrupt):
            list(scenarios.run(made, "interrupted"))
        self.assertEqual([True], made.cleaned)
