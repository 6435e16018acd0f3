"""What commands are made of."""

import argparse
import datetime
import functools
import itertools
import shlex
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cliff import columns, command, lister, show

from apisvc.commands.cli import exits

if TYPE_CHECKING:
    from apisvc import client
    from apisvc.commands.cli import app

Dict = dict[str, Any]
Parser = argparse.ArgumentParser
Options = argparse.Namespace
Table = tuple[Sequence[str], Iterable[Sequence[Any]]]


class _Base:
    """Mixed into each kind of command: the client, the tenant, and errors as sentences."""

    app: "app.CommandLine"
    cmd_name: str | None
    #: Shown below the options in its help.
    epilog = ""
    #: What stands after ``--`` is for it.
    takes_tail = False
    #: The profile that is named need not exist yet.
    makes_profile = False

    @property
    def api(self) -> "client.Client":
        return self.app.client

    @property
    def tenant(self) -> str:
        return self.app.tenant

    def get_epilog(self) -> str:
        # PERF: cliff's own looks through every installed package.
        return self.epilog

    def run(self, parsed_args: Options) -> int:
        return self.guarded(self.produce, parsed_args)

    def produce(self, options: Options) -> int | None:
        """What cliff does: ask :meth:`take_action`, and show it."""
        code: int | None = super().run(options)  # type: ignore[misc]
        return code

    def guarded(self, what: Callable[[Options], int | None], options: Options) -> int:
        """The exit code of ``what``; an error becomes a sentence and its own code."""
        try:
            self.app.begin(self)
            return int(what(options) or 0)
        except Exception as error:
            return self.fail(error)

    def fail(self, error: Exception) -> int:
        """Say what ``error`` means and return its exit code; raise it on when it is a bug of ours."""
        explained = exits.explain(error)
        if explained is None:
            raise error
        if self.app.options.debug:
            traceback.print_exception(error, file=self.app.stderr)
        code, sentence = explained
        self.app.stderr.write(f"apisvc: {sentence}\n")
        return code


class Command(_Base, command.Command):  # type: ignore[misc]
    """A command that answers nothing, or in a way of its own."""


class Show(_Base, show.ShowOne):  # type: ignore[misc]
    """A command that answers one thing: :meth:`answer` gives it as the API does."""

    #: Fields that people are shown in another way than others of their type.
    cells: Mapping[str, Callable[[Any], Any]] = {}

    def take_action(self, parsed_args: Options) -> tuple[Sequence[str], Sequence[Any]]:
        fields = flat(self.answer(parsed_args))
        return list(fields), [self.cells.get(name, cell)(value) for name, value in fields.items()]

    def answer(self, options: Options) -> Dict:
        raise NotImplementedError


class List(_Base, lister.Lister):  # type: ignore[misc]
    """A command that answers many things: :meth:`answer` gives them as the API does.

    ``fields``: column name -> path into an item (``status.state``).
    """

    fields: dict[str, str]
    #: Fields that people are shown in another way than others of their type.
    cells: Mapping[str, Callable[[Any], Any]] = {}

    def get_parser(self, prog_name: str) -> Parser:
        parser: Parser = super().get_parser(prog_name)
        parser.add_argument("--limit", type=_positive, metavar="N", help="Show at most N; default all.")
        return parser

    def take_action(self, parsed_args: Options) -> Table:
        fields = self.shown(parsed_args)
        items = itertools.islice(self.answer(parsed_args), parsed_args.limit)
        columns = [(path.split("."), self.cells.get(name, cell)) for name, path in fields.items()]
        return list(fields), [[shown(_at(item, path)) for path, shown in columns] for item in items]

    def shown(self, options: Options) -> Mapping[str, str]:
        """The fields, where they depend on the options."""
        return self.fields

    def answer(self, options: Options) -> Iterable[Dict]:
        raise NotImplementedError


def _at(item: Any, path: Sequence[str]) -> Any:
    return functools.reduce(
        lambda found, key: found.get(key) if isinstance(found, dict) else None, path, item
    )


def flat(answer: Dict) -> Dict:
    """``spec``, ``status`` and ``limits`` opened up beside the other fields."""
    fields: Dict = {}
    for name, value in answer.items():
        inner = name in ("spec", "status", "limits") and isinstance(value, dict)
        fields.update(value if inner else {name: value})
    return fields


class Pairs(columns.FormattableColumn[Any]):
    """An object: ``key=value`` lines for people, itself for machines."""

    def human_readable(self) -> str:
        return "\n".join(f"{key}={human(value)}" for key, value in self._value.items())


class Words(columns.FormattableColumn[Any]):
    """A list: as a shell would be told for people, itself for machines."""

    def human_readable(self) -> str:
        if any(isinstance(item, dict | list) for item in self._value):
            return "\n".join(human(item) for item in self._value)
        return shlex.join([human(item) for item in self._value])


class Blank(columns.FormattableColumn[Any]):
    """Nothing: empty for people, null for machines."""

    def human_readable(self) -> str:
        return ""

    def __lt__(self, other: Any) -> bool:
        return True


def cell(value: Any) -> Any:
    """``value`` as cliff shows it well in every format."""
    if value is None:
        return Blank(value)
    if isinstance(value, dict):
        return Pairs(value)
    if isinstance(value, list):
        return Words(value)
    return value


def human(value: Any) -> str:
    """``value`` inside another one, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={human(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return ", ".join(human(inner) for inner in value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


# Reading options.


def pair(what: str) -> Callable[[str], tuple[str, str]]:
    """An argparse type for ``KEY=VALUE``."""

    def parse(text: str) -> tuple[str, str]:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} of the form KEY=VALUE")
        return key, value

    return parse


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str) -> str:
    """An argparse type for a moment, as RFC 3339: one that is given so, or ``5m``: so long ago."""
    now = datetime.datetime.now(datetime.UTC)
    try:
        if text[-1:] in _UNITS:
            return (now - datetime.timedelta(seconds=float(text[:-1]) * _UNITS[text[-1]])).isoformat()
        then = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time (2026-11-22T08:15:30Z) nor how long ago (90s, 5m, 2h, 1d)"
        ) from None
    return (then if then.tzinfo else then.astimezone()).isoformat()


def given(options: Options, *names: str) -> Dict:
    """Those of the options that were given, as fields of a body or a query."""
    found = {name: getattr(options, name) for name in names}
    return {name: value for name, value in found.items() if value not in (None, [], ())}


def merged(
    now: dict[str, str], pairs: Sequence[tuple[str, str]] | None, unset: Sequence[str] | None
) -> dict[str, str]:
    """``now`` with some pairs set and some keys taken away."""
    new = now | dict(pairs or ())
    return {key: value for key, value in new.items() if key not in (unset or ())}


def changes(options: Options, *names: str) -> Dict:
    """As :func:`given`, for an update, which has to change something."""
    found = given(options, *names)
    if not found:
        flags = ", ".join("--" + name.replace("_", "-") for name in names)
        raise exits.UsageError(f"Nothing to change; give one of {flags}.")
    return found


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number
