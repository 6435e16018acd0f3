"""Who may do what with workers."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:workers:list",
        base.ADMIN,
        "List the live workers.",
        [{"method": "GET", "path": "/v1/admin/workers"}],
    ),
]

RULES = [*ADMIN]
