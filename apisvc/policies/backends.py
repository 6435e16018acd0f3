"""Who may do what with backends."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:backends:list",
        base.ADMIN,
        "List all backends with their health.",
        [{"method": "GET", "path": "/v1/admin/backends"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:backends:show",
        base.ADMIN,
        "Show a backend with its health.",
        [{"method": "GET", "path": "/v1/admin/backends/{backend}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:backends:update",
        base.ADMIN,
        "Enable, drain or disable a backend; set its weight and its tenants.",
        [{"method": "PATCH", "path": "/v1/admin/backends/{backend}"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "backends:list",
        base.READER,
        "List the backends that the tenant may use.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/backends"}],
    ),
]

RULES = [*ADMIN, *TENANT]
