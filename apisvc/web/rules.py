"""The policy of oslo.policy, evaluated in a microsecond.

oslo.policy inspects the signature of each check whenever it evaluates it, which
costs more than the rest of a read. The rules do not change while the process
runs; so they are compiled, once, into plain functions. Kinds of checks that are
not known here (``http:``, a third party's) are left to oslo.policy.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import oslo_policy.opts
from oslo_config import cfg
from oslo_policy import policy

from apisvc import errors
from apisvc.web import operation

LOG = logging.getLogger(__name__)

#: ``(target, credentials)`` -> allowed?
Rule = Callable[[dict[str, Any], dict[str, Any]], bool]


class Rules:
    """All rules by name."""

    def __init__(self, enforcer: policy.Enforcer) -> None:
        self._enforcer = enforcer
        self._rules: dict[str, Rule] = {}
        for name, default in enforcer.registered_rules.items():
            if default.scope_types:
                self._rules[name] = self._by_oslo(name)
            else:
                self._rules[name] = self._compile(enforcer.rules[name])

    def allows(self, name: str, target: dict[str, Any], credentials: dict[str, Any]) -> bool:
        """Whether the policy lets somebody with ``credentials`` do ``name`` to ``target``."""
        return self._rules[name](target, credentials)

    def __contains__(self, name: str) -> bool:
        return name in self._rules

    def _compile(self, check: Any) -> Rule:
        if isinstance(check, policy.RuleCheck):
            return self._compile(self._enforcer.rules[check.match])
        if isinstance(check, policy.AndCheck):
            every = [self._compile(one) for one in check.rules]
            return lambda target, creds: all(one(target, creds) for one in every)
        if isinstance(check, policy.OrCheck):
            some = [self._compile(one) for one in check.rules]
            return lambda target, creds: any(one(target, creds) for one in some)
        if isinstance(check, policy.NotCheck):
            inner = self._compile(check.rule)
            return lambda target, creds: not inner(target, creds)
        if str(check) in ("@", "!"):
            allowed = str(check) == "@"
            return lambda target, creds: allowed
        if isinstance(check, policy.Check) and check.kind == "role" and "%" not in check.match:
            role = check.match.lower()
            return lambda target, creds: role in creds["roles"]
        return self._by_oslo(check)

    def _by_oslo(self, rule: Any) -> Rule:
        return lambda target, creds: bool(self._enforcer.enforce(rule, target, creds))


def load(
    conf: cfg.ConfigOpts,
    defaults: Iterable[policy.RuleDefault],
    operations: Iterable[operation.Operation],
) -> Rules:
    """The policy: ``defaults``, overridden by the policy file (``[oslo_policy]``), which is read once, here.

    :raises StartError: the file cannot be read, a rule is broken, or an
        operation names one that does not exist.
    """
    oslo_policy.opts.set_defaults(conf)
    enforcer = policy.Enforcer(conf)
    _require_named_file(conf)
    try:
        enforcer.register_defaults(list(defaults))
        enforcer.load_rules(force_reload=True)
        enforcer.check_rules(raise_on_violation=True)
    except (policy.DuplicatePolicyError, policy.InvalidDefinitionError, policy.InvalidRuleDefault) as error:
        raise errors.StartError(f"policy: {error}") from None
    except (OSError, ValueError, cfg.Error, TypeError, AttributeError) as error:
        # The last two: it is YAML, but not a mapping of rules.
        raise errors.StartError(
            f"[oslo_policy] policy_file = {conf.oslo_policy.policy_file}: {error}"
        ) from None
    _look_at_file(enforcer, conf.oslo_policy.policy_file)
    # PERF: Otherwise every enforce looks for the file again.
    enforcer.use_conf = False
    rules = Rules(enforcer)
    for op in operations:
        if op.policy is not None and op.policy not in rules:
            raise errors.StartError(
                f"operation {op.id}: its policy {op.policy} is not among the rules of its route package"
            )
    return rules


def _require_named_file(conf: cfg.ConfigOpts) -> None:
    """A file that the configuration names must be there; oslo.policy would go on without it, and its rules."""
    named = conf.get_location("policy_file", "oslo_policy")
    file = conf.oslo_policy.policy_file
    if named is not None and named.location.is_user_controlled and not conf.find_file(file):
        raise errors.StartError(
            f"[oslo_policy] policy_file = {file}: there is no such file, here or beside apisvc.conf"
        )


def _look_at_file(enforcer: policy.Enforcer, file: str) -> None:
    """What oslo.policy takes without a word: a rule that it cannot read forbids, and an unknown one does nothing."""
    read = enforcer.file_rules
    for name, rule in read.items():
        if str(rule.check) == "!" and rule.check_str.strip() != "!":
            raise errors.StartError(
                f"[oslo_policy] policy_file = {file}: {name} = {rule.check_str!r} is no rule; valid as in: "
                "role:admin or rule:member_or_admin"
            )
        used = any(f"rule:{name}" in other.check_str for other in read.values())
        if name not in enforcer.registered_rules and not used:
            LOG.warning("[oslo_policy] policy_file = %s: no such rule: %s; it is ignored", file, name)
