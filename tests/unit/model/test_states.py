import testtools

from apisvc.model import states
from apisvc.model.instances import State


class States(testtools.TestCase):
    def test_every_state_has_a_meaning_and_a_way_in_and_out(self) -> None:
        self.assertEqual({*State, states.GONE}, set(states.MEANINGS))
        sources = {source for source, _, _ in states.pairs()}
        targets = {target for _, target, _ in states.pairs()}
        self.assertEqual(set(State), sources)
        self.assertEqual({*State, states.GONE} - {State.PENDING}, targets)

    def test_no_pair_is_there_twice(self) -> None:
        pairs = [(source, target) for source, target, _ in states.pairs()]
        self.assertEqual(len(pairs), len(set(pairs)))

    def test_delete_works_in_every_state_and_nothing_leads_back(self) -> None:
        for state in State:
            self.assertTrue(states.allowed(state, State.DELETING))
        self.assertEqual([states.GONE], [t for s, t, _ in states.pairs() if s is State.DELETING])

    def test_it_prints_itself(self) -> None:
        for source, target, why in states.pairs():
            self.assertRegex(states.as_text(), f"{source} +-> {target} +{why}")
            self.assertIn(f'"{source}" -> "{target}"', states.as_dot())
        self.assertEqual([f"``{name}``" for name in states.MEANINGS], [name for name, _, _ in states.rows()])
        for transition in states.TRANSITIONS:
            self.assertIn(f"| `{transition.target}` | {transition.why} |", states.as_markdown())
