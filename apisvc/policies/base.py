"""The rules that all others are made of.

A caller's roles are those in the tenant of the request, each with all lesser
ones: a manager is a member and a reader too. An admin has every role.
"""

from oslo_policy import policy

ADMIN = "rule:admin_required"
MANAGER = "rule:manager_or_admin"
MEMBER = "rule:member_or_admin"
READER = "rule:reader_or_admin"
AUTHENTICATED = "rule:authenticated"

_RULES = (
    policy.RuleDefault("admin_required", "role:admin", "Users with the system role."),
    policy.RuleDefault("manager_or_admin", "role:admin or role:manager", "Managers of the tenant."),
    policy.RuleDefault("member_or_admin", "role:admin or role:member", "Members and managers of the tenant."),
    policy.RuleDefault("reader_or_admin", "role:admin or role:reader", "Everybody in the tenant."),
    policy.RuleDefault("authenticated", "@", "Everybody with a valid token."),
)


def list_rules() -> list[policy.RuleDefault]:
    return list(_RULES)
