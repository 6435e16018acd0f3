"""Who may do what with tokens."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:tokens:list",
        base.ADMIN,
        "List any user's tokens.",
        [{"method": "GET", "path": "/v1/admin/users/{user}/tokens"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tokens:show",
        base.ADMIN,
        "Show one of any user's tokens.",
        [{"method": "GET", "path": "/v1/admin/users/{user}/tokens/{token}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tokens:create",
        base.ADMIN,
        "Create one of any user's tokens.",
        [{"method": "POST", "path": "/v1/admin/users/{user}/tokens"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:tokens:delete",
        base.ADMIN,
        "Revoke one of any user's tokens.",
        [{"method": "DELETE", "path": "/v1/admin/users/{user}/tokens/{token}"}],
    ),
]

USER = [
    policy.DocumentedRuleDefault(
        "user:tokens:list",
        base.AUTHENTICATED,
        "List the caller's own tokens.",
        [{"method": "GET", "path": "/v1/user/tokens"}],
    ),
    policy.DocumentedRuleDefault(
        "user:tokens:show",
        base.AUTHENTICATED,
        "Show one of the caller's own tokens.",
        [{"method": "GET", "path": "/v1/user/tokens/{token}"}],
    ),
    policy.DocumentedRuleDefault(
        "user:tokens:create",
        base.AUTHENTICATED,
        "Create one of the caller's own tokens.",
        [{"method": "POST", "path": "/v1/user/tokens"}],
    ),
    policy.DocumentedRuleDefault(
        "user:tokens:delete",
        base.AUTHENTICATED,
        "Revoke one of the caller's own tokens.",
        [{"method": "DELETE", "path": "/v1/user/tokens/{token}"}],
    ),
]

RULES = [*ADMIN, *USER]
