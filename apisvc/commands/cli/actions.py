"""``apisvc instance start|stop|reboot|delete|logs|events``: what is done with instances that exist."""

from collections.abc import Iterable
from typing import Any

from apisvc.commands.cli import base, events, waiting


class _Act(base.List):
    """Does one thing with each instance named, all of them before it waits for any."""

    fields = {"id": "id", "name": "name", "state": "status.state"}
    #: What ``--wait`` waits for.
    until: str

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("instances", nargs="+", metavar="INSTANCE", help="Name or id.")
        waiting.add_options(parser)
        return parser

    def run(self, parsed_args: base.Options) -> int:
        self.code = 0
        return super().run(parsed_args) or self.code

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        asked = [found for name in options.instances if (found := self._try(self.act, name))]
        if not options.wait:
            return asked
        return [found for one in asked if (found := self._try(self._wait, one, options.wait_timeout))]

    def _try(self, what: Any, *args: Any) -> base.Dict | None:
        """One that fails does not keep the others from being done; the first failure is the exit code."""
        try:
            found: base.Dict = what(*args)
            return found
        except Exception as error:
            self.code = self.code or self.fail(error)
            return None

    def _wait(self, instance: base.Dict, timeout: float) -> base.Dict:
        return waiting.wait(self.app, instance, {self.until}, timeout)

    def act(self, name: str) -> base.Dict:
        raise NotImplementedError


class Start(_Act):
    """Start instances."""

    until = "active"

    def act(self, name: str) -> base.Dict:
        return self.api.instances.start(self.tenant, name)


class Stop(_Act):
    """Stop instances; they keep their place in the quota."""

    until = "stopped"

    def act(self, name: str) -> base.Dict:
        return self.api.instances.stop(self.tenant, name)


class Reboot(_Act):
    """Stop instances and start them again."""

    until = "active"

    def act(self, name: str) -> base.Dict:
        return self.api.instances.reboot(self.tenant, name)


class Delete(_Act):
    """Delete instances, whatever their state."""

    until = "gone"

    def act(self, name: str) -> base.Dict:
        return self.api.instances.delete(self.tenant, name)


class Logs(base.Command):
    """Print what an instance printed."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("instance", help="Name or id.")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("-f", "--follow", action="store_true", help="Go on until it is at rest or gone.")
        how.add_argument("-p", "--previous", action="store_true", help="Of the run before the present one.")
        parser.add_argument("--tail", type=int, metavar="N", help="Begin with the last N lines; default all.")
        parser.add_argument(
            "--since",
            type=base.moment,
            metavar="WHEN",
            help="Only what was printed from then on: a time (2026-11-22T08:15:30Z), or how long ago (90s, 5m, 2h).",
        )
        return parser

    def take_action(self, parsed_args: base.Options) -> None:
        asked = {"tail": parsed_args.tail, "since": parsed_args.since}
        if parsed_args.follow:
            chunks = self.api.instances.follow_logs(self.tenant, parsed_args.instance, **asked)
        else:
            previous = True if parsed_args.previous else None
            chunks = self.api.instances.logs(self.tenant, parsed_args.instance, previous=previous, **asked)
        # An instance may print anything; where there are bytes to be had, they pass as they are.
        raw = getattr(self.app.stdout, "buffer", None)
        for chunk in chunks:
            if raw is None:
                self.app.stdout.write(chunk.decode(errors="replace"))
            else:
                raw.write(chunk)
                raw.flush()


class Events(events.Feed):
    """List what happened to an instance, or follow it."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("instance", help="Name or id.")
        return parser

    def listed(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.instances.events(self.tenant, options.instance)

    def followed(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.instances.follow_events(self.tenant, options.instance, options.after)
