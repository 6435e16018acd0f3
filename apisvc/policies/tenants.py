"""Who may do what with tenants."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:tenants:list",
        base.ADMIN,
        "List all tenants.",
        [{"method": "GET", "path": "/v1/admin/tenants"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tenants:show",
        base.ADMIN,
        "Show any tenant.",
        [{"method": "GET", "path": "/v1/admin/tenants/{tenant}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tenants:create",
        base.ADMIN,
        "Create a tenant.",
        [{"method": "POST", "path": "/v1/admin/tenants"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tenants:update",
        base.ADMIN,
        "Change, disable or enable a tenant.",
        [{"method": "PATCH", "path": "/v1/admin/tenants/{tenant}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tenants:delete",
        base.ADMIN,
        "Remove a tenant with all it has.",
        [{"method": "DELETE", "path": "/v1/admin/tenants/{tenant}"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "tenants:list",
        base.AUTHENTICATED,
        "List the tenants that the caller is a member of.",
        [{"method": "GET", "path": "/v1/tenants"}],
    ),
    policy.DocumentedRuleDefault(
        "tenants:show", base.READER, "Show a tenant.", [{"method": "GET", "path": "/v1/tenants/{tenant}"}]
    ),
]

USER = [
    policy.DocumentedRuleDefault(
        "user:tenants:list",
        base.AUTHENTICATED,
        "List the tenants that the caller is a member of.",
        [{"method": "GET", "path": "/v1/user/tenants"}],
    ),
]

RULES = [*ADMIN, *TENANT, *USER]
