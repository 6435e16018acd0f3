"""What all commands share: the common options, and one line when they cannot start."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from oslo_config import cfg

from apisvc import __version__, errors
from apisvc.conf import files

#: Exit codes. argparse itself uses 2 for a wrong command line.
FAILED = 1
INTERRUPTED = 130
#: gunicorn stops when a worker process ends with this; otherwise it starts another, for ever.
APP_LOAD_ERROR = 4


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """A parser with ``--config-file``, ``--config-dir``, ``--debug`` and ``--version``."""
    made = argparse.ArgumentParser(prog, description=description)
    made.add_argument("--version", action="version", version=f"{prog} {__version__}")
    add_common(made)
    return made


def add_common(to: argparse.ArgumentParser, *, again: bool = False) -> None:
    """The options of every command. ``again``: also taken after a subcommand, where people write them."""
    nothing: Any = argparse.SUPPRESS if again else []
    to.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS if again else False, help="log more"
    )
    to.add_argument(
        "--config-file",
        action="append",
        default=nothing,
        metavar="FILE",
        help="read this configuration file; may be given several times, later ones win",
    )
    to.add_argument(
        "--config-dir",
        action="append",
        default=nothing,
        metavar="DIR",
        help="read all *.conf files of this folder",
    )


#: What a subcommand does; its exit code, None for 0.
Action = Callable[[cfg.ConfigOpts, argparse.Namespace], int | None]


def command(to: Any, name: str, action: Action, text: str) -> argparse.ArgumentParser:
    """Add a subcommand, with the common options, that leaves ``action`` in the arguments."""
    made: argparse.ArgumentParser = to.add_parser(name, help=text)
    add_common(made, again=True)
    made.set_defaults(action=action)
    return made


def configuration(arguments: argparse.Namespace, *, check: bool = True) -> cfg.ConfigOpts:
    """The configuration that the common options name, with logging started; its values checked unless told not to.

    :raises StartError: see :func:`apisvc.conf.files.read`.
    """
    argv = ["--debug"] if arguments.debug else []
    for file in arguments.config_file:
        argv += ["--config-file", file]
    for folder in arguments.config_dir:
        argv += ["--config-dir", folder]
    conf = files.read(argv, check=check)
    files.start_logging(conf)
    return conf


def run(prog: str, command: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None) -> int:
    """Run ``command(argv)``; what stops it is one line on stderr and the exit code that is returned."""
    try:
        return command(sys.argv[1:] if argv is None else argv) or 0
    except errors.ApisvcError as error:
        print(f"{prog}: {error.detail}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


T = TypeVar("T")


def application(make: Callable[[], T]) -> T:
    """``make()`` for gunicorn; what stops it is one line, and gunicorn stops too."""
    try:
        return make()
    except errors.ApisvcError as error:
        print(f"apisvc: {error.detail}", file=sys.stderr, flush=True)
        sys.exit(APP_LOAD_ERROR)
