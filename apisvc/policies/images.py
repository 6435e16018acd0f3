"""Who may do what with images."""

from oslo_policy import policy

from apisvc.policies import base

ADMIN = [
    policy.DocumentedRuleDefault(
        "admin:images:list",
        base.ADMIN,
        "List all images as administrators see them.",
        [{"method": "GET", "path": "/v1/admin/images"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:images:show",
        base.ADMIN,
        "Show an image as administrators see it.",
        [{"method": "GET", "path": "/v1/admin/images/{image}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:images:create",
        base.ADMIN,
        "Create an image.",
        [{"method": "POST", "path": "/v1/admin/images"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:images:update",
        base.ADMIN,
        "Change an image.",
        [{"method": "PATCH", "path": "/v1/admin/images/{image}"}],
    ),
    policy.DocumentedRuleDefault(
        "admin:images:delete",
        base.ADMIN,
        "Remove an image.",
        [{"method": "DELETE", "path": "/v1/admin/images/{image}"}],
    ),
]

TENANT = [
    policy.DocumentedRuleDefault(
        "images:list",
        base.READER,
        "List the images that instances can be made with.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/images"}],
    ),
    policy.DocumentedRuleDefault(
        "images:show",
        base.READER,
        "Show an image.",
        [{"method": "GET", "path": "/v1/tenants/{tenant}/images/{image}"}],
    ),
]

RULES = [*ADMIN, *TENANT]
