"""The program ``apisvc``."""

import argparse
import contextlib
import functools
import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cliff import app as cliff_app
from cliff import commandmanager

from apisvc.commands.cli import exits, settings

if TYPE_CHECKING:
    from apisvc import client

GROUP = "apisvc.cli"
DESCRIPTION = "Tenants, users and instances of an apisvc, over its REST API."


class CommandLine(cliff_app.App):
    """One run: its settings, and the client made from them when a command asks for it."""

    NAME = "apisvc"
    LOG = logging.getLogger("apisvc.cli")

    def __init__(self, environ: Mapping[str, str] = os.environ, **streams: Any) -> None:
        """``streams``: stdin, stdout and stderr, where they are not the process's own."""
        super().__init__(
            DESCRIPTION, _version(), commandmanager.CommandManager(GROUP), deferred_help=True, **streams
        )
        self.environ = environ
        #: What stood after ``--``: an instance's own command line.
        self.tail: list[str] | None = None
        self.settings = settings.Settings()

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: dict[str, Any] | None = None
    ) -> argparse.ArgumentParser:
        # Options may stand anywhere, so an abbreviation could be meant for a command.
        kwargs = {
            "prog": self.NAME,
            "allow_abbrev": False,
            "epilog": exits.EPILOG,
            "formatter_class": argparse.RawDescriptionHelpFormatter,
        }
        parser: argparse.ArgumentParser = super().build_option_parser(description, version, kwargs)
        parser.add_argument("--url", metavar="URL", help="The service, such as http://127.0.0.1:5000.")
        parser.add_argument("--token", metavar="TOKEN", help="Your token; better kept in APISVC_TOKEN.")
        parser.add_argument("--tenant", metavar="TENANT", help="The tenant to act in, by name or id.")
        parser.add_argument("--cacert", metavar="FILE", help="The CA that signed the service's certificate.")
        parser.add_argument("--profile", metavar="NAME", help="The profile to take the rest from.")
        parser.add_argument(
            "--timeout", metavar="SECONDS", type=_seconds, default=30.0, help="For one call; default 30."
        )
        return parser

    def run(self, argv: list[str]) -> int:
        if "--" in argv:
            split = argv.index("--")
            argv, self.tail = argv[:split], argv[split + 1 :]
        return int(super().run(argv) or 0)

    def configure_logging(self) -> None:
        super().configure_logging()
        if self.options.verbose_level < 2:
            logging.getLogger("urllib3").setLevel(logging.ERROR)

    def interact(self) -> None:
        """Without a command: say what there is."""
        self.parser.print_help(self.stderr)
        raise SystemExit(exits.Exit.USAGE)

    def begin(self, command: Any) -> None:
        """What every command of ours does first: find out whom to talk to."""
        if self.tail is not None and not command.takes_tail:
            raise exits.UsageError("This command takes nothing after '--'.")
        self.settings = settings.resolve(self.options, self.environ, new=command.makes_profile)

    @functools.cached_property
    def client(self) -> "client.Client":
        """The client for this run. UsageError when it is not said whom to talk to."""
        from apisvc import client

        if not self.settings.url:
            raise exits.UsageError(
                "Where is the service? Give --url, set APISVC_URL, or run 'apisvc configure' once."
            )
        try:
            return client.Client(
                self.settings.url,
                self.settings.token,
                timeout=self.options.timeout,
                attempts=3,
                cacert=self.settings.cacert,
                agent=f"apisvc-cli/{_version()}",
            )
        except ValueError as error:
            raise exits.UsageError(f"{error}.") from None

    @property
    def tenant(self) -> str:
        """The tenant to act in."""
        if not self.settings.tenant:
            raise exits.UsageError(
                "In which tenant? Give --tenant, set APISVC_TENANT, or run 'apisvc configure' once."
            )
        return self.settings.tenant


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400 seconds")
    return seconds


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("apisvc")


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script."""
    try:
        code = CommandLine().run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        code = exits.Exit.BROKEN_PIPE
    except KeyboardInterrupt:
        code = exits.Exit.INTERRUPTED
    if code == exits.Exit.BROKEN_PIPE:
        # What is still buffered has no reader; the interpreter must not try to write it at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(code)
