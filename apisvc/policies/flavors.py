"""Who may do what with flavors."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:flavors:list",
        base.ADMIN,
        "List all flavors as administrators see them.",
        [{"method": "GET", "path": "/v1/admin/flavors"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:flavors:show",
        base.ADMIN,
        "Show a flavor as administrators see it.",
        [{"method": "GET", "path": "/v1/admin/flavors/{flavor}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:flavors:create",
        base.ADMIN,
        "Create a flavor.",
        [{"method": "POST", "path": "/v1/admin/flavors"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:flavors:update",
        base.ADMIN,
        "Change a flavor.",
        [{"method": "PATCH", "path": "/v1/admin/flavors/{flavor}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:flavors:delete",
        base.ADMIN,
        "Remove a flavor.",
        [{"method": "DELETE", "path": "/v1/admin/flavors/{flavor}"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "flavors:list",
        base.READER,
        "List the flavors that instances can be made with.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/flavors"}],
    ),
    policy.DocumentedRuleDefault(
        "flavors:show",
        base.READER,
        "Show a flavor.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/flavors/{flavor}"}],
    ),
]

RULES = [*ADMIN, *TENANT]
