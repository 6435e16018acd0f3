"""The default rules of apisvc's own operations, by resource and by the route package that needs them."""

from oslo_policy import policy

from apisvc.policies import (
    backends,
    base,
    credentials,
    drivers,
    events,
    flavors,
    images,
    instances,
    members,
    nodes,
    quotas,
    tenants,
    tokens,
    users,
    workers,
)

#: One a line, in the order of the documents generated from it.
MODULES = (
    tenants,
    users,
    members,
    tokens,
    quotas,
    flavors,
    images,
    instances,
    backends,
    credentials,
    nodes,
    drivers,
    workers,
    events,
)


def list_rules() -> list[policy.RuleDefault]:
    """All of them, for the sample file and the docs (entry-point group ``oslo.policy.policies``)."""
    return [*base.list_rules(), *(rule for module in MODULES for rule in module.RULES)]
