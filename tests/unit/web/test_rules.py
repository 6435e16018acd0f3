import pathlib

import fixtures
import hypothesis
import testtools
from hypothesis import strategies
from oslo_config import cfg
from oslo_policy import policy

from apisvc import errors
from apisvc.conf import files
from apisvc.web import rules

_ROLES = ("admin", "manager", "member", "reader")
_LEAVES = (
    "@",
    "!",
    *(f"role:{role}" for role in _ROLES),
    "role:ADMIN",
    "role:%(want)s",
    "user_id:%(user_id)s",
)
_CHECKS = strategies.recursive(
    strategies.sampled_from(_LEAVES) | strategies.just("rule:base"),
    lambda inner: (
        strategies.tuples(inner, strategies.sampled_from([" and ", " or "]), inner).map(
            lambda parts: "(" + "".join(parts) + ")"
        )
        | inner.map(lambda one: f"not ({one})")
    ),
    max_leaves=6,
)


def _enforcer(*defaults):
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(defaults)
    enforcer.load_rules(force_reload=True)
    return enforcer


class Compiled(testtools.TestCase):
    @hypothesis.settings(max_examples=40, deadline=None, database=None)
    @hypothesis.given(
        _CHECKS,
        strategies.sampled_from(_LEAVES),
        strategies.sets(strategies.sampled_from(_ROLES)),
        strategies.sampled_from(["ann", "bob"]),
    )
    def test_they_mean_what_oslo_policy_says(self, check, base, roles, user_id):
        enforcer = _enforcer(policy.RuleDefault("base", base), policy.RuleDefault("things:do", check))
        target = {"user_id": "ann", "project_id": None, "want": "member"}
        credentials = {"user_id": user_id, "project_id": None, "roles": sorted(roles), "system_scope": None}
        expected = bool(enforcer.enforce("things:do", target, dict(credentials)))
        self.assertIs(expected, rules.Rules(enforcer).allows("things:do", target, credentials), check)

    def test_scoped_rules_are_left_to_oslo_policy(self):
        made = rules.Rules(_enforcer(policy.RuleDefault("things:do", "@", scope_types=["system"])))
        self.assertTrue(made.allows("things:do", {}, {"roles": [], "system_scope": "all"}))
        self.assertFalse(made.allows("things:do", {}, {"roles": [], "system_scope": None}))


class File(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.folder / "mine.yaml"
        self.log = self.useFixture(fixtures.FakeLogger())

    def load(self, text):
        if text is not None:
            self.file.write_text(text)
        config = self.folder / "apisvc.conf"
        config.write_text(f"[oslo_policy]\npolicy_file = {self.file.name}\n")
        defaults = [policy.RuleDefault("things:do", "role:member"), policy.RuleDefault("things:see", "@")]
        return rules.load(files.read(["--config-file", str(config)]), defaults, [])

    def refused(self, text):
        line = str(self.assertRaises(errors.StartError, self.load, text))
        self.assertTrue(line.startswith("[oslo_policy] policy_file = mine.yaml: "), line)
        return line

    def test_it_overrides(self):
        made = self.load('"trusted": "role:manager"\n"things:do": "rule:trusted"\n')
        self.assertFalse(made.allows("things:do", {}, {"roles": ["member"]}))
        self.assertTrue(made.allows("things:do", {}, {"roles": ["manager"]}))
        self.assertNotIn("no such rule", self.log.output)

    def test_a_file_that_is_named_must_be_there(self):
        self.assertIn("there is no such file", self.refused(None))

    def test_a_rule_that_cannot_be_read(self):
        self.assertIn("things:do = 'role:(( or' is no rule", self.refused('"things:do": "role:(( or"\n'))

    def test_a_rule_that_nobody_knows_is_told(self):
        self.load('"thigns:do": "role:admin"\n"things:see": "!"\n')
        self.assertIn("no such rule: thigns:do; it is ignored", self.log.output)
