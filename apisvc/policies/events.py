"""Who may do what with events."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:events:list",
        base.ADMIN,
        "List or follow all events.",
        [{"method": "GET", "path": "/v1/admin/events"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "events:list",
        base.READER,
        "List or follow the events of a tenant.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/events"}],
    ),
]

USER = [
    policy.DocumentedRuleDefault(
        "user:events:list",
        base.AUTHENTICATED,
        "List or follow what the caller did and what was done to it.",
        [{"method": "GET", "path": "/v1/user/events"}],
    ),
]

RULES = [*ADMIN, *TENANT, *USER]
