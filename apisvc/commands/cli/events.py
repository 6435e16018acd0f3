"""``apisvc event list``, and what other feeds share with it."""

import json
from collections.abc import Iterable

from apisvc.commands.cli import base


class Detail(base.Pairs):
    """An event's detail: for people only what is one word or number, which tells most."""

    def human_readable(self) -> str:
        return brief(self._value)


def brief(detail: base.Dict) -> str:
    """``detail`` on one line, without its inner objects."""
    return ", ".join(
        f"{name}={base.human(value)}"
        for name, value in detail.items()
        if value is not None and not isinstance(value, dict)
    )


class Feed(base.List):
    """Lists a feed, or follows it line by line."""

    cells = {"detail": Detail}

    fields = {
        "revision": "revision",
        "at": "at",
        "actor": "actor.name",
        "action": "action",
        "target": "target.name",
        "detail": "detail",
    }

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--follow", action="store_true", help="Print events as they happen, without end.")
        parser.add_argument(
            "--after",
            type=int,
            metavar="REVISION",
            help="With --follow: begin after this revision; default from now on.",
        )
        return parser

    def run(self, parsed_args: base.Options) -> int:
        return self.guarded(self._follow if parsed_args.follow else super().produce, parsed_args)

    def _follow(self, options: base.Options) -> None:
        """One line an event: JSON with ``-f json``, else for people."""
        for event in self.followed(options):
            text = json.dumps(event) if options.formatter == "json" else line(event)
            self.app.stdout.write(text + "\n")
            self.app.stdout.flush()

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.listed(options)

    def listed(self, options: base.Options) -> Iterable[base.Dict]:
        raise NotImplementedError

    def followed(self, options: base.Options) -> Iterable[base.Dict]:
        raise NotImplementedError


def line(event: base.Dict) -> str:
    """An event for people: when, who, what, to what, and more."""
    actor, target = event["actor"], event["target"]
    words = [
        event["at"],
        actor.get("name") or actor["id"],
        event["action"],
        target.get("name") or target["id"],
    ]
    return " ".join([*words, brief(event.get("detail") or {})]).rstrip()


class Listing(Feed):
    """List or follow the events of the tenant."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--all", action="store_true", help="Of all tenants and none; for admins.")
        parser.add_argument("--action", help="This action (instance.create), or all of a kind (instance).")
        parser.add_argument("--target", metavar="ID", help="Done to the one with this id.")
        parser.add_argument("--since", metavar="TIME", help="Not before this moment (RFC 3339).")
        return parser

    def listed(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.events.list(self._place(options), **_filters(options))

    def followed(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.events.follow(self._place(options), options.after, **_filters(options))

    def _place(self, options: base.Options) -> str | None:
        return None if options.all else self.tenant


def _filters(options: base.Options) -> base.Dict:
    wanted = {"action": options.action, "target_id": options.target, "since": options.since}
    return {name: value for name, value in wanted.items() if value is not None}
