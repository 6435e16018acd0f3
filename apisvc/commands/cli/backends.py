"""``apisvc backend ...``, ``node ...``, ``driver list`` and ``worker list``."""

from collections.abc import Iterable, Mapping

from apisvc.commands.cli import base

STATES = ("enabled", "draining", "disabled")


class BackendList(base.List):
    """List the backends that the tenant can use, or all of them."""

    fields = {name: name for name in ("name", "driver", "state", "healthy", "capabilities")}

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--all", action="store_true", help="All of them, with their health; for admins.")
        return parser

    def shown(self, options: base.Options) -> Mapping[str, str]:
        if not options.all:
            return self.fields
        more = {name: name for name in ("weight", "instances", "tenants", "reason")}
        return {**self.fields, "healthy": "health.healthy", **more, "detail": "health.detail"}

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.backends.list() if options.all else self.api.backends.available(self.tenant)


class BackendShow(base.Show):
    """Show a backend; for admins."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("backend", help="Its name.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.backends.get(options.backend)


class BackendSet(base.Show):
    """Say what may happen on a backend; for admins.

    A draining one keeps what it has and gets nothing new; a disabled one is not touched at all.
    """

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("backend", help="Its name.")
        parser.add_argument("--state", choices=STATES)
        parser.add_argument("--reason", metavar="TEXT", help="Why, for the others.")
        parser.add_argument(
            "--weight", type=int, metavar="N", help="Its share of new instances, beside the others'."
        )
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument(
            "--tenant",
            action="append",
            dest="tenants",
            metavar="TENANT",
            help="Only this tenant may use it; may be repeated.",
        )
        whose.add_argument("--all-tenants", action="store_true", help="All tenants may use it.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        if options.all_tenants:
            fields = base.given(options, "state", "reason", "weight") | {"tenants": None}
        else:
            fields = base.changes(options, "state", "reason", "weight", "tenants")
        return self.api.backends.set(options.backend, **fields)


class NodeList(base.List):
    """List the machines inside the backends; for admins."""

    fields = {
        name: name
        for name in (
            "backend",
            "name",
            "ready",
            "schedulable",
            "vcpus",
            "ram_mb",
            "disk_gb",
            "vcpus_used",
            "ram_mb_used",
        )
    }

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("--backend", metavar="NAME", help="Only those of this backend.")
        return parser

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.nodes.list(**base.given(options, "backend"))


class _Node(base.Show):
    """About one node."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("backend", help="The backend's name.")
        parser.add_argument("node", help="Its name there.")
        return parser


class NodeShow(_Node):
    """Show a machine inside a backend; for admins."""

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.nodes.get(options.backend, options.node)


class NodeCordon(_Node):
    """Keep new instances away from a node; what runs there goes on. For admins."""

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.nodes.cordon(options.backend, options.node)


class NodeUncordon(_Node):
    """Let a node take new instances again; for admins."""

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.nodes.uncordon(options.backend, options.node)


class DriverList(base.List):
    """List the kinds of backends that the service has; for admins."""

    fields = {name: name for name in ("name", "contract", "capabilities", "backends")}

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.drivers.list()


class WorkerList(base.List):
    """List the live workers; for admins."""

    fields = {name: name for name in ("id", "host", "pid", "backends", "created_at")}

    def answer(self, options: base.Options) -> Iterable[base.Dict]:
        return self.api.workers.list()
