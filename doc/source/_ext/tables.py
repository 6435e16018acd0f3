"""``.. apisvc-table:: NAME``: tables made from the code, so that they cannot disagree with it."""

from collections.abc import Sequence

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from apisvc.compute import base as compute
from apisvc.web import problems

Rows = Sequence[Sequence[str]]


def error_codes() -> Rows:
    """Every code, in the order of its status."""
    rows = [(str(kind.status), f"``{kind.code}``", problems.meaning(kind)) for kind in problems.catalogue()]
    return [("status", "code", "meaning"), *rows]


def driver_errors() -> Rows:
    """The closed set and each one's fate."""
    rows: list[Sequence[str]] = [("error", "code", "meaning", "fate")]
    others = {
        compute.InProgress: "no fault: looked at again soon",
        compute.DriverBug: "tried again, slowly; its trace is in the log, its text is not shown to tenants",
    }
    for kind in compute.ERRORS:
        usual = "tried again with back-off" if kind.retryable else "waits for a new spec, or DELETE"
        fate = others.get(kind, usual)
        rows.append((f"``{kind.__name__}``", f"``{kind.code}``", (kind.__doc__ or "").splitlines()[0], fate))
    return rows


def states() -> Rows:
    from apisvc.model import states

    return [("state", "what it means", "what can follow"), *states.rows()]


def decide() -> Rows:
    from apisvc.worker import decide

    return [("when", "step", "state then", "why"), *decide.rows()]


def operations() -> Rows:
    """The route table of a standard installation."""
    from cryptography import fernet

    from apisvc import conf, plugins
    from apisvc.routes import root
    from apisvc.service import secrets, services
    from apisvc.storage import memory
    from apisvc.web import metrics

    options = conf.new()
    options([], default_config_files=[], default_config_dirs=[])
    box = secrets.SecretBox([fernet.Fernet.generate_key()])
    everything = services.build(options, memory.MemoryStore(), box, {})
    brought = [op for routes in plugins.load_routes(options, everything) for op in routes.operations()]
    built_in = root.Root(everything, metrics.Metrics(), brought, options.api.docs).operations()
    rows: list[Sequence[str]] = [("method and path", "operation", "policy", "what it does")]
    for operation in [*built_in, *brought]:
        rows.append(
            (
                f"``{operation.method} {operation.path}``",
                f"``{operation.id}``",
                f"``{operation.policy}``" if operation.policy else "open",
                operation.summary,
            )
        )
    return rows


def kubernetes_errors() -> Rows:
    """What an API server answers, and the error that it becomes."""
    from apisvc.compute.kubernetes import refusals

    return [("status", "its message has", "error", "because"), *refusals.rows()]


def exit_codes() -> Rows:
    """Of the command line."""
    from apisvc.commands.cli import exits

    return [("code", "meaning"), *((str(code.value), meaning) for code, meaning in exits.MEANINGS.items())]


def openstack_states() -> Rows:
    """Nova's states in the contract's words."""
    from apisvc.compute.openstack import states

    return [("state in Nova", "phase", "a start", "a stop", "why"), *states.rows()]


def openstack_faults() -> Rows:
    """What a cloud's refusals are in the contract's words."""
    from apisvc.compute.openstack import faults

    return [("the cloud", "error", "what tenants read"), *faults.rows()]


TABLES = {
    "errors": error_codes,
    "driver-errors": driver_errors,
    "kubernetes-errors": kubernetes_errors,
    "states": states,
    "decide": decide,
    "operations": operations,
    "openstack-states": openstack_states,
    "openstack-faults": openstack_faults,
    "exit-codes": exit_codes,
}


class Table(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows = TABLES[self.arguments[0]]()
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
        for row in rows:
            for number, cell in enumerate(row):
                lines.append(f"   {'*' if number == 0 else ' '} - {cell}")
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source="apisvc-table"), self.content_offset, container)
        return container.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("apisvc-table", Table)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
