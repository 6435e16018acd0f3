"""Who may do what with users."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:users:list", base.ADMIN, "List all users.", [{"method": "GET", "path": "/v1/admin/users"}]
    ),
    policy.DocumentedRuleDefault(
        "admin:users:show",
        base.ADMIN,
        "Show any user.",
        [{"method": "GET", "path": "/v1/admin/users/{user}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:users:create", base.ADMIN, "Create a user.", [{"method": "POST", "path": "/v1/admin/users"}]
    ),
    policy.DocumentedRuleDefault(
        "admin:users:update",
        base.ADMIN,
        "Change, disable or enable a user; give or take the role admin.",
        [{"method": "PATCH", "path": "/v1/admin/users/{user}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:users:delete",
        base.ADMIN,
        "Delete a user with all memberships and tokens.",
        [{"method": "DELETE", "path": "/v1/admin/users/{user}"}],
    ),
]

USER = [
    policy.DocumentedRuleDefault(
        "user:self:show",
        base.AUTHENTICATED,
        "Show oneself and what one's token allows.",
        [{"method": "GET", "path": "/v1/user"}],
    ),
]

RULES = [*ADMIN, *USER]
