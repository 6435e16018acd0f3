"""``/v1/tenants/{tenant}/instances/{instance}/exec`` and ``/console``: ways into an instance."""

from collections.abc import Sequence

from oslo_policy import policy

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.schemas import access as schemas
from apisvc.service import access, services
from apisvc.web import operation, terminals

#: Their rules are with the other ones of instances.
RULES: Sequence[policy.DocumentedRuleDefault] = ()

_ONE = "/v1/tenants/{tenant}/instances/{instance}"
_ERRORS = (errors.NotFound, errors.Unsupported, errors.WrongState, errors.BackendUnavailable)


class _Access:
    def __init__(self, service: services.Services) -> None:
        self._instances = service.instances
        self._access = service.access

    def _found(self, call: operation.Call) -> access.Found:
        return self._instances.get(call.context, call.tenant_id, call.path["instance"])

    def run(self, call: operation.Call) -> operation.Answer:
        asked: schemas.ExecCreate = call.body
        ran = self._access.run(
            call.context, self._found(call), asked.command, asked.stdin.encode(), asked.timeout
        )
        return operation.Answer(
            schemas.ExecView(
                exit_code=ran.exit_code,
                stdout=ran.stdout.decode(errors="replace"),
                stderr=ran.stderr.decode(errors="replace"),
                truncated=ran.truncated,
                ended=ran.ended,
            )
        )

    def connect(self, call: operation.Call) -> operation.Answer:
        asked: schemas.TerminalQuery = call.query
        request = compute.ExecRequest(asked.command, stdin=asked.stdin, tty=asked.tty)
        return operation.Answer(session=self._access.open(call.context, self._found(call), request))

    def console(self, call: operation.Call) -> operation.Answer:
        found = self._access.console(call.context, self._found(call))
        return operation.Answer(schemas.ConsoleView(kind=found.kind, url=found.url))


def operations(service: services.Services) -> Sequence[operation.Operation]:
    ways = _Access(service)
    return [
        operation.Operation(
            id="exec_in_instance",
            method="POST",
            path=f"{_ONE}/exec",
            summary="Run a program inside an instance, and wait for it",
            description="The answer has the end of its output cut off where it is too long. Sent twice it runs twice, so "
            "there is no Idempotency-Key here. The event tells the first word of the command, and no more of it.",
            tag="instances",
            handler=ways.run,
            policy="instances:exec",
            body=schemas.ExecCreate,
            answer=schemas.ExecView,
            errors=_ERRORS,
            lasting=True,
        ),
        operation.Operation(
            id="connect_to_instance",
            method="GET",
            path=f"{_ONE}/exec",
            summary="Open a terminal inside an instance",
            description="A WebSocket of the subprotocol "
            f"`{terminals.SUBPROTOCOL}`. Messages are binary, and their first byte is the channel: 0 input (nothing after "
            "it: there is no more), 1 stdout, 2 stderr, 3 the last message (JSON: `exit_code`, or `error` with a problem "
            "document), 4 the size of the window (JSON: `columns`, `rows`). It counts as an open stream; it is closed when "
            "it was idle for long, or its caller may no longer come in.",
            tag="instances",
            handler=ways.connect,
            policy="instances:exec",
            query=schemas.TerminalQuery,
            status=101,
            errors=_ERRORS,
            websocket=True,
        ),
        operation.Operation(
            id="open_instance_console",
            method="POST",
            path=f"{_ONE}/console",
            summary="Open the console of an instance",
            description="Its screen or serial line, in a browser. The URL is not kept; ask again for another one.",
            tag="instances",
            handler=ways.console,
            policy="instances:console",
            answer=schemas.ConsoleView,
            errors=_ERRORS,
        ),
    ]
