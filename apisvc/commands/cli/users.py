"""``apisvc user ...`` and ``token ...``."""

from collections.abc import Iterable

from apisvc.commands.cli import base, tenants

FLAGS = ("enabled", "admin")


def _add_user(parser: base.Parser) -> None:
    parser.add_argument("user", help="Name or id.")


class UserCreate(base.Show):
    """Create a user; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument("--description", metavar="TEXT")
        parser.add_argument("--email", metavar="ADDRESS")
        parser.add_argument("--admin", action="store_true", default=None, help="May do everything.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.users.create(**base.given(options, "name", "description", "email", "admin"))


class UserList(base.List):
    """List the users; for admins."""

    fields = {name: name for name in ("id", "name", "enabled", "admin", "email", "description")}

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.users.list()


class UserShow(base.Show):
    """Show yourself, or a user; the latter for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("user", nargs="?", help="Name or id; without it yourself.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.users.get(options.user) if options.user else self.api.user.get()


class UserUpdate(base.Show):
    """Change a user; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_user(parser)
        parser.add_argument("--name", help="A new name.")
        parser.add_argument("--description", metavar="TEXT")
        parser.add_argument("--email", metavar="ADDRESS")
        for flag, yes, no in (("enabled", "enable", "disable"), ("admin", "admin", "no-admin")):
            either = parser.add_mutually_exclusive_group()
            either.add_argument(f"--{yes}", dest=flag, action="store_true", default=None)
            either.add_argument(f"--{no}", dest=flag, action="store_false", default=None)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = base.changes(options, "name", "description", "email", *FLAGS)
        return self.api.users.update(options.user, **fields)


class UserDelete(base.Command):
    """Delete a user with all tokens and memberships; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_user(parser)
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.users.delete(parsed_args.user)


def _add_owner(parser: base.Parser) -> None:
    parser.add_argument("--user", metavar="USER", help="Of this user; for admins. Default: yourself.")


class TokenCreate(base.Show):
    """Create a token; its text is shown this once."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_owner(parser)
        parser.add_argument("--name", help="To tell it from your others.")
        parser.add_argument("--only-tenant", metavar="TENANT", help="Good in this tenant only.")
        parser.add_argument("--role", choices=tenants.ROLES, help="Grants at most this role.")
        parser.add_argument("--admin", action="store_true", default=None, help="May use your system role.")
        parser.add_argument("--lifetime", type=int, metavar="SECONDS", help="Until it expires.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = base.given(options, "name", "role", "admin", "lifetime")
        if options.only_tenant:
            fields["tenant"] = options.only_tenant
        return self.api.tokens.create(options.user, **fields)


class TokenList(base.List):
    """List tokens."""

    fields = {
        name: name
        for name in ("id", "name", "hint", "tenant_id", "role", "admin", "expires_at", "last_used_at")
    }

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        _add_owner(parser)
        return parser

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.tokens.list(options.user)


class TokenRevoke(base.Command):
    """Revoke a token; it is refused at once."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("token_id", help="Its id, as 'apisvc token list' shows it.")
        _add_owner(parser)
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        self.api.tokens.revoke(parsed_args.token_id, parsed_args.user)
