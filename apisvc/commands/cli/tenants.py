"""``apisvc tenant ...``, ``member ...``, ``quota ...`` and ``usage ...``."""

import itertools
from collections.abc import Iterable, Mapping

from apisvc.commands.cli import base

ROLES = ("manager", "member", "reader")
RESOURCES = ("instances", "vcpus", "ram_mb", "disk_gb")


def _add_tenant(parser: base.Parser) -> None:
    parser.add_argument("tenant_ref", metavar="TENANT", help="Name or id.")


def _add_quota(parser: base.Parser) -> None:
    for resource in RESOURCES:
        flag = "--" + resource.replace("_", "-")
        parser.add_argument(flag, type=int, metavar="N", help=f"Limit of {resource}; -1 is unlimited.")


class TenantCreate(base.Show):
    """Create a tenant; for admins. Limits not named are those of the deployment."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument(
            "--id", metavar="ID", help="The id of the Keystone project whose users act in it."
        )
        parser.add_argument("--description", metavar="TEXT")
        parser.add_argument("--label", action="append", type=base.pair("a label"), metavar="KEY=VALUE")
        _add_quota(parser)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = base.given(options, "name", "id", "description")
        if options.label:
            fields["labels"] = dict(options.label)
        quota = base.given(options, *RESOURCES)
        if quota:
            fields["quota"] = quota
        return self.api.tenants.create(**fields)


class TenantList(base.List):
    """List the tenants you belong to, or all of them."""

    fields = {name: name for name in ("id", "name", "state", "role", "description")}

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--all", action="store_true", help="All tenants; for admins.")
        parser.add_argument("--label", action="append", metavar="KEY[=VALUE]", help="With --all: only these.")
        return parser

    def shown(self, options: base.Options) -> Mapping[str, str]:
        return {name: name for name in self.fields if name != "role" or not options.all}

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        if options.all:
            return self.api.tenants.list(**base.given(options, "label"))
        return self.api.user.tenants()


class TenantShow(base.Show):
    """Show a tenant."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_tenant(parser)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.tenants.show(options.tenant_ref)


class TenantUpdate(base.Show):
    """Change a tenant; for admins. One that is disabled keeps what it has, and gets nothing new."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_tenant(parser)
        parser.add_argument("--name", help="A new name.")
        parser.add_argument("--description", metavar="TEXT")
        parser.add_argument("--state", choices=("enabled", "disabled"))
        parser.add_argument("--label", action="append", type=base.pair("a label"), metavar="KEY=VALUE")
        parser.add_argument("--unset-label", action="append", metavar="KEY", help="Take it away.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        base.changes(options, "name", "description", "state", "label", "unset_label")
        fields = base.given(options, "name", "description", "state")
        revision = None
        if options.label or options.unset_label:
            now = self.api.tenants.get(options.tenant_ref)
            revision = now["revision"]
            fields["labels"] = base.merged(now["labels"], options.label, options.unset_label)
        return self.api.tenants.update(options.tenant_ref, if_match=revision, **fields)


class TenantDelete(base.Command):
    """Remove a tenant with all its instances; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_tenant(parser)
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.tenants.delete(parsed_args.tenant_ref)


class MemberAdd(base.Show):
    """Make a user a member of the tenant."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("user", help="Name or id.")
        parser.add_argument("--role", choices=ROLES, default="member", help="Default: member.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.members.set(self.tenant, options.user, options.role)


class MemberSet(base.Show):
    """Change the role of a member."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("user", help="Name or id.")
        parser.add_argument("--role", choices=ROLES, required=True)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.members.update(self.tenant, options.user, options.role)


class MemberList(base.List):
    """List the members of the tenant."""

    fields = {"user_id": "user_id", "user": "user_name", "role": "role", "created_at": "created_at"}

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.members.list(self.tenant)


class MemberRemove(base.Command):
    """Remove a member from the tenant."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("user", help="Name or id.")
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.members.remove(self.tenant, parsed_args.user)


class QuotaShow(base.Show):
    """Show the limits of the tenant; -1 is unlimited."""

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.quotas.get(self.tenant)


class QuotaSet(base.Show):
    """Set limits of the tenant; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_quota(parser)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.quotas.set(self.tenant, **base.changes(options, *RESOURCES))


class UsageShow(base.List):
    """Show what the tenant uses of its quota, or what every tenant does."""

    fields = {name: name for name in ("resource", "limit", "used", "free")}

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--all", action="store_true", help="Of every tenant; for admins.")
        return parser

    def shown(self, options: base.Options) -> Mapping[str, str]:
        return {"tenant": "tenant_name", **self.fields} if options.all else self.fields

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        found = self.api.quotas.usage_all() if options.all else [self.api.quotas.usage(self.tenant)]
        for usage, resource in itertools.product(found, RESOURCES):
            yield {
                "tenant_name": usage["tenant_name"],
                "resource": resource,
                "limit": usage["limits"][resource],
                "used": usage["used"][resource],
                "free": usage["free"][resource],
            }
