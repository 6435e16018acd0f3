"""Tenants of projects: made when the first who acts in one arrives."""

import re

from apisvc import errors
from apisvc.model import identity
from apisvc.service import context
from apisvc.service import tenants as tenant_rules

#: What a name cannot have in it.
_ODD = re.compile(r"[^A-Za-z0-9._@-]+")


def ensure(all_tenants: tenant_rules.Tenants, ctx: context.Context, project: identity.Project) -> None:
    """Make the project's tenant where there is none. One that is disabled, or is being removed, stays so."""
    if all_tenants.exists(ctx, project.tenant_id):
        return
    try:
        _create(all_tenants, ctx, project, _name(project.name))
    except (errors.AlreadyExists, errors.InvalidRequest):
        # Another request made it; or the name is taken or cannot be one: then the id makes it so.
        if all_tenants.exists(ctx, project.tenant_id):
            return
        suffix = project.tenant_id.partition("-")[0]
        shortened = _name(project.name[:50]) or "project"
        try:
            _create(all_tenants, ctx, project, f"{shortened}-{suffix}")
        except errors.AlreadyExists:
            if not all_tenants.exists(ctx, project.tenant_id):
                raise


def _create(
    all_tenants: tenant_rules.Tenants, ctx: context.Context, project: identity.Project, name: str
) -> None:
    all_tenants.create(ctx, name=name, tenant_id=project.tenant_id, description=project.description)


def _name(text: str) -> str:
    """``text`` as far as it can be a name."""
    return _ODD.sub("-", text).strip("._@-")
