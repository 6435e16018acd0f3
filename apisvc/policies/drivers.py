"""Who may do what with drivers."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:drivers:list",
        base.ADMIN,
        "List the drivers in use.",
        [{"method": "GET", "path": "/v1/admin/drivers"}],
    ),
]

RULES = [*ADMIN]
