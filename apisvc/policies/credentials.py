"""Who may get, see and revoke credentials of backends."""

from oslo_policy import policy

from apisvc.policies import base

_ALL = "/v1/tenants/{tenant}/backends/{backend}/credentials"

TENANT = [
    policy.DocumentedRuleDefault(
        "credentials:list",
        base.READER,
        "List the credentials of a tenant on a backend, without their content.",
        [{"method": "GET", "path": _ALL}],
    ),
    policy.DocumentedRuleDefault(
        "credentials:show",
        base.READER,
        "Show a credential of a tenant on a backend, without its content.",
        [{"method": "GET", "path": f"{_ALL}/{{credential}}"}],
    ),
    policy.DocumentedRuleDefault(
        "credentials:create",
        base.MEMBER,
        "Get a credential of a backend, for what the tenant has there. It allows what the caller's role does.",
        [{"method": "POST", "path": _ALL}],
    ),
    policy.DocumentedRuleDefault(
        "credentials:delete",
        base.MEMBER,
        "Revoke a credential of a tenant on a backend.",
        [{"method": "DELETE", "path": f"{_ALL}/{{credential}}"}],
    ),
]

RULES = TENANT
