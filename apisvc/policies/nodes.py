"""Who may do what with nodes."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:nodes:list",
        base.ADMIN,
        "List the nodes of the backends.",
        [{"method": "GET", "path": "/v1/admin/nodes"}],
    ),
]

RULES = [*ADMIN]
