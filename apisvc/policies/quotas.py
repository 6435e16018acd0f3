"""Who may do what with quotas, and see what is used of them."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:quotas:show",
        base.ADMIN,
        "Show the quota of any tenant.",
        [{"method": "GET", "path": "/v1/admin/tenants/{tenant}/quota"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:quotas:update",
        base.ADMIN,
        "Change the quota of a tenant.",
        [{"method": "PATCH", "path": "/v1/admin/tenants/{tenant}/quota"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:usage:list",
        base.ADMIN,
        "Show what every tenant uses.",
        [{"method": "GET", "path": "/v1/admin/usage"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "quotas:show",
        base.READER,
        "Show the quota of a tenant.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/quota"}],
    ),
    policy.DocumentedRuleDefault(
        "usage:show",
        base.READER,
        "Show what a tenant uses of its quota.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/usage"}],
    ),
]

RULES = [*ADMIN, *TENANT]
