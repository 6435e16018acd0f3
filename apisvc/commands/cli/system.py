"""``apisvc configure`` and ``apisvc version``."""

import dataclasses
import getpass
import importlib.metadata

from apisvc.commands.cli import base, exits, settings


class Configure(base.Command):
    """Keep URL, token and tenant in a profile.

    Takes --url, --token, --tenant and --cacert; what is missing is asked for, or taken from the environment.
    """

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--no-check", action="store_true", help="Do not try them first.")
        return parser

    #: The profile named may be one that is to be made.
    makes_profile = True

    def take_action(self, parsed_args: base.Options) -> None:
        found = self.app.settings
        url = found.url or self._ask("URL", "--url")
        token = found.token or self._ask("Token", "--token", hidden=True)
        self.app.settings = dataclasses.replace(found, url=url, token=token)
        if not parsed_args.no_check:
            me = self.api.user.get()
            self.app.stderr.write(f"You are {me['name']} at {self.api.url}.\n")
        name = self.app.options.profile or self.app.environ.get("APISVC_PROFILE") or "default"
        path = settings.profile_file(self.app.environ)
        settings.write_profile(path, name, self.app.settings)
        self.app.stderr.write(f"Profile {name!r} is in {path}.\n")

    def _ask(self, what: str, option: str, hidden: bool = False) -> str:
        if not self.app.stdin.isatty():
            raise exits.UsageError(f"{what} is missing; give {option}.")
        answer = getpass.getpass(f"{what}: ") if hidden else input(f"{what}: ")
        if not answer.strip():
            raise exits.UsageError(f"{what} is missing; give {option}.")
        return answer.strip()


class Version(base.Show):
    """Show the versions of this command and, if there is one, of the service."""

    def answer(self, options: base.Options) -> base.Dict:
        found: base.Dict = {"client": importlib.metadata.version("apisvc")}
        if self.app.settings.url:
            found["url"] = self.api.url
            served = self.api.versions()["versions"]
            found["service"] = ", ".join(
                f"{one['id']} ({one['min_version']} to {one['version']})" for one in served
            )
        return found
