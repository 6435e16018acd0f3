"""``apisvc instance ...``: make, find and change instances."""

import argparse
import pathlib
from collections.abc import Iterable, Mapping

from apisvc.commands.cli import base, exits, waiting

FIELDS = {
    "id": "id",
    "name": "name",
    "state": "status.state",
    "image": "spec.image",
    "flavor": "spec.flavor",
    "backend": "spec.backend",
    "node": "status.node",
    "stale": "status.stale",
    "created_at": "created_at",
}
RESTART_POLICIES = ("always", "on-failure", "never")
STATES = (
    "pending",
    "building",
    "active",
    "stopping",
    "stopped",
    "starting",
    "rebooting",
    "deleting",
    "error",
)


class Actions(base.Pairs):
    """What can be done: for people the words, and behind those that cannot be why."""

    def human_readable(self) -> str:
        return "\n".join(
            name if action["possible"] else f"({name}: {action['reason']})"
            for name, action in self._value.items()
        )


class _One(base.Show):
    """Shows an instance."""

    cells = {"actions": Actions}


def _add_spec(parser: base.Parser) -> None:
    """The options that create and update have in common."""
    parser.add_argument("--description", metavar="TEXT", help="Free text.")
    parser.add_argument("--label", action="append", type=base.pair("a label"), metavar="KEY=VALUE")
    parser.add_argument(
        "--env",
        action="append",
        type=base.pair("a variable"),
        metavar="KEY=VALUE",
        help="An environment variable; may be repeated.",
    )
    parser.add_argument(
        "--secret-env",
        action="append",
        metavar="KEY=VALUE",
        help="The same, kept encrypted and never shown: KEY=VALUE, KEY (the value is in this environment) or "
        "KEY=@FILE (it is in this file, whose last newline does not count).",
    )
    parser.add_argument("--port", action="append", type=int, metavar="N", help="A TCP port it listens on.")
    parser.add_argument("--arg", action="append", metavar="ARG", help="An argument; may be repeated.")
    parser.add_argument("--restart-policy", choices=RESTART_POLICIES, help="What follows when it ends.")
    machines = parser.add_argument_group("where the backend makes machines")
    machines.add_argument(
        "--ssh-key", metavar="FILE", help="A public SSH key for its first user (a .pub file); '' for none."
    )
    machines.add_argument(
        "--user-data", metavar="FILE", help="What it reads at its first start (cloud-init); '' for nothing."
    )
    machines.add_argument("--network", action="append", metavar="NAME", help="A network; may be repeated.")
    machines.add_argument("--security-group", action="append", metavar="NAME", help="May be repeated.")
    machines.add_argument(
        "--public-address",
        action=argparse.BooleanOptionalAction,
        help="Whether it is reached from outside by an address of its own.",
    )


def _spec(options: base.Options, environ: Mapping[str, str]) -> base.Dict:
    """The same as fields of a body."""
    fields = base.given(options, "name", "description", "image", "flavor", "restart_policy")
    if options.port:
        fields["ports"] = options.port
    if options.arg:
        fields["args"] = options.arg
    if options.network:
        fields["networks"] = options.network
    if options.security_group:
        fields["security_groups"] = options.security_group
    if options.public_address is not None:
        fields["public_address"] = options.public_address
    if options.ssh_key is not None:
        fields["ssh_key"] = _content("--ssh-key", options.ssh_key).strip()
    if options.user_data is not None:
        fields["user_data"] = _content("--user-data", options.user_data)
    if options.secret_env:
        fields["secret_env"] = dict(_secret(text, environ) for text in options.secret_env)
    return fields


def _secret(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key:
        raise exits.UsageError(f"--secret-env {text!r}: expected KEY=VALUE, KEY or KEY=@FILE.")
    if not equals:
        if key not in environ:
            raise exits.UsageError(f"--secret-env {key}: there is no such variable in this environment.")
        return key, environ[key]
    if not value.startswith("@"):
        return key, value
    return key, _content(f"--secret-env {key}", value[1:]).removesuffix("\n")


def _content(option: str, path: str) -> str:
    """The text of a file; of no file, none."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, ValueError) as error:
        raise exits.UsageError(f"{option}: cannot read {path}: {error}") from None


class Create(_One):
    """Create an instance; its own command follows '--'."""

    takes_tail = True
    epilog = "example: apisvc instance create --image host --flavor tiny -- sh -c 'echo hello; sleep 60'"

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.usage = "%(prog)s [options] --image IMAGE --flavor FLAVOR [-- COMMAND [ARG ...]]"
        parser.add_argument("--name", help="Unique in the tenant; without it one is made.")
        parser.add_argument("--image", required=True, help="What to run, by name or id.")
        parser.add_argument("--flavor", required=True, help="How large, by name or id.")
        parser.add_argument("--backend", help="Where; without it the service chooses.")
        parser.add_argument("--driver", metavar="KIND", help="Only on a backend of this kind.")
        parser.add_argument(
            "--requires",
            action="append",
            metavar="CAPABILITY",
            help="Only on a backend that has it (see apisvc backend list); may be repeated.",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Show where it would be and why, and what the quota would be; change nothing.",
        )
        _add_spec(parser)
        parser.add_argument(
            "--volume",
            action="append",
            type=int,
            metavar="GIB",
            help="A volume of this size, made with it and gone with it; may be repeated.",
        )
        parser.add_argument("--stopped", action="store_true", help="Do not run it yet.")
        waiting.add_options(parser)
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = _spec(options, self.app.environ) | base.given(options, "backend", "driver", "requires")
        fields |= {"labels": dict(options.label or ()), "env": dict(options.env or ())}
        if options.volume:
            fields["volumes"] = options.volume
        if self.app.tail:
            fields["command"] = self.app.tail
        if options.stopped:
            fields["power"] = "stopped"
        if options.dry_run:
            return self.api.instances.plan(self.tenant, **fields)
        instance = self.api.instances.create(self.tenant, **fields)
        if not options.wait:
            return instance
        # What may end by itself may have done so before anybody looked.
        ends = options.stopped or options.restart_policy in ("never", "on-failure")
        states = {"stopped"} if options.stopped else {"active", "stopped"} if ends else {"active"}
        return waiting.wait(self.app, instance, states, options.wait_timeout)


class Listing(base.List):
    """List instances of the tenant."""

    fields = FIELDS

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--state", action="append", choices=STATES, help="Only these; may be repeated.")
        parser.add_argument("--label", action="append", metavar="KEY[=VALUE]", help="Only with this label.")
        for name in ("name", "backend", "flavor", "image"):
            parser.add_argument(f"--{name}", help=f"Only with this {name}.")
        parser.add_argument(
            "--stale", action="store_true", default=None, help="Only where the backend is out of sight."
        )
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--mine", action="store_true", help="What you made, in all your tenants.")
        whose.add_argument("--all", action="store_true", help="Those of all tenants; for admins.")
        return parser

    def shown(self, options: base.Options) -> Mapping[str, str]:
        return {"tenant_id": "tenant_id", **FIELDS} if options.all or options.mine else FIELDS

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        filters = base.given(options, "state", "label", "name", "backend", "flavor", "image", "stale")
        if options.all:
            return self.api.instances.list_all(**filters)
        if options.mine:
            return self.api.user.instances(**filters)
        return self.api.instances.list(self.tenant, **filters)


class Show(_One):
    """Show an instance."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("instance", help="Name or id.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.instances.get(self.tenant, options.instance)


class Update(_One):
    """Change an instance; what is not named stays."""

    takes_tail = True

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.usage = "%(prog)s [options] INSTANCE [-- COMMAND [ARG ...]]"
        parser.add_argument("instance", help="Name or id.")
        parser.add_argument("--name", help="A new name.")
        parser.add_argument("--image", help="Another image, by name or id.")
        parser.add_argument("--flavor", help="Another flavor, by name or id.")
        _add_spec(parser)
        for what in ("label", "env", "secret-env"):
            parser.add_argument(f"--unset-{what}", action="append", metavar="KEY", help="Take it away.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        fields = _spec(options, self.app.environ)
        if self.app.tail:
            fields["command"] = self.app.tail
        if options.unset_secret_env:
            fields["secret_env"] = fields.get("secret_env", {}) | dict.fromkeys(options.unset_secret_env)
        revision = None
        if options.label or options.unset_label or options.env or options.unset_env:
            # The API replaces these as a whole, so somebody else's change meanwhile must not be lost.
            now = self.api.instances.get(self.tenant, options.instance)
            revision = now["revision"]
            fields["labels"] = base.merged(now["labels"], options.label, options.unset_label)
            fields["env"] = base.merged(now["spec"]["env"], options.env, options.unset_env)
        if not fields:
            raise exits.UsageError("Nothing to change; see apisvc instance update --help.")
        return self.api.instances.update(self.tenant, options.instance, if_match=revision, **fields)
