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
    policy.DocumentedRuleDefault(
        "admin:nodes:show",
        base.ADMIN,
        "Show a node.",
        [{"method": "GET", "path": "/v1/admin/nodes/{backend}/{node}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:nodes:act",
        base.ADMIN,
        "Let a node take new instances, or keep them away from it.",
        [{"method": "POST", "path": "/v1/admin/nodes/{backend}/{node}/actions"}],
    ),
]

RULES = [*ADMIN]
