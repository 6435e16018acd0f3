"""Who may do what with the members of a tenant."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:members:list",
        base.ADMIN,
        "List the members of any tenant.",
        [{"method": "GET", "path": "/v1/admin/tenants/{tenant}/members"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:members:show",
        base.ADMIN,
        "Show a member of any tenant.",
        [{"method": "GET", "path": "/v1/admin/tenants/{tenant}/members/{user}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:members:update",
        base.ADMIN,
        "Make a user a member of any tenant, or change a member's role.",
        [
            {"method": "PUT", "path": "/v1/admin/tenants/{tenant}/members/{user}"},
            {"method": "PATCH", "path": "/v1/admin/tenants/{tenant}/members/{user}"},
        ],
    ),
    policy.DocumentedRuleDefault(
        "admin:members:delete",
        base.ADMIN,
        "End a membership of any tenant.",
        [{"method": "DELETE", "path": "/v1/admin/tenants/{tenant}/members/{user}"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "members:list",
        base.READER,
        "List the members of a tenant.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/members"}],
    ),
    policy.DocumentedRuleDefault(
        "members:show",
        base.READER,
        "Show a member of a tenant.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/members/{user}"}],
    ),
    policy.DocumentedRuleDefault(
        "members:update",
        base.MANAGER,
        "Make a user a member of a tenant, or change a member's role.",
        [
            {"method": "PUT", "path": "/v1/tenants/{tenant}/members/{user}"},
            {"method": "PATCH", "path": "/v1/tenants/{tenant}/members/{user}"},
        ],
    ),
    policy.DocumentedRuleDefault(
        "members:delete",
        base.MANAGER,
        "End a membership of a tenant.",
        [{"method": "DELETE", "path": "/v1/tenants/{tenant}/members/{user}"}],
    ),
]

RULES = [*ADMIN, *TENANT]
