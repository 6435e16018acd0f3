"""Who may do what with instances."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:instances:list",
        base.ADMIN,
        "List the instances of all tenants.",
        [{"method": "GET", "path": "/v1/admin/instances"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "instances:list",
        base.READER,
        "List the instances of a tenant.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/instances"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:show",
        base.READER,
        "Show an instance.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/instances/{instance}"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:create",
        base.MEMBER,
        "Create an instance.",
        [{"method": "POST", "path": "/v1/tenants/{tenant}/instances"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:update",
        base.MEMBER,
        "Change what is asked of an instance.",
        [{"method": "PATCH", "path": "/v1/tenants/{tenant}/instances/{instance}"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:delete",
        base.MEMBER,
        "Delete an instance.",
        [{"method": "DELETE", "path": "/v1/tenants/{tenant}/instances/{instance}"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:act",
        base.MEMBER,
        "Start, stop or reboot an instance.",
        [{"method": "POST", "path": "/v1/tenants/{tenant}/instances/{instance}/actions"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:logs",
        base.READER,
        "Read or follow what an instance printed.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/instances/{instance}/logs"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:exec",
        base.MEMBER,
        "Run programs inside an instance.",
        [
            {"method": "POST", "path": "/v1/tenants/{tenant}/instances/{instance}/exec"},
            {"method": "GET", "path": "/v1/tenants/{tenant}/instances/{instance}/exec"},
        ],
    ),
    policy.DocumentedRuleDefault(
        "instances:console",
        base.MEMBER,
        "Open the console of an instance.",
        [{"method": "POST", "path": "/v1/tenants/{tenant}/instances/{instance}/console"}],
    ),
    policy.DocumentedRuleDefault(
        "instances:events",
        base.READER,
        "List or follow the events of an instance.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/instances/{instance}/events"}],
    ),
]

USER = [
    policy.DocumentedRuleDefault(
        "user:instances:list",
        base.AUTHENTICATED,
        "List the instances that the caller made.",
        [{"method": "GET", "path": "/v1/user/instances"}],
    ),
]

RULES = [*ADMIN, *TENANT, *USER]
