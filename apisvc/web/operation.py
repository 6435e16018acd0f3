"""The contract of a route: one :class:`Operation` says everything about it.

From the same table the service routes, authorises, validates, documents and
tests. A third party's route package gives its operations in the same way.
"""

import abc
import dataclasses
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import falcon
from oslo_policy import policy

from apisvc.errors import ApisvcError
from apisvc.model import codec, identity, tenants
from apisvc.service import context, listing, transaction

if TYPE_CHECKING:  # at run time a table of operations needs no service
    from apisvc.service import services, sessions

#: Contract version ``major.minor``; a package states the one it was written for.
CONTRACT = "1.0"


@dataclasses.dataclass(slots=True)
class Call:
    """A request that has passed the guard: authenticated, authorised, decoded and valid."""

    context: context.Context
    #: The values of the ``{names}`` in the path, percent-decoded.
    path: Mapping[str, str]
    #: An instance of ``Operation.query``, or None.
    query: Any
    #: An instance of ``Operation.body``, or None.
    body: Any
    #: The tenant of ``{tenant}`` in the path, already resolved and visible to the caller.
    tenant: codec.Versioned[tenants.Tenant] | None
    #: The caller's role in that tenant; None: only an admin's, or no tenant in the path.
    role: identity.Role | None
    #: Which part of a list is asked for: limit and marker of a ``schemas.base.ListQuery``.
    page: listing.Page
    #: The raw request, for what the rest does not cover (streams).
    request: falcon.Request
    operation: "Operation"

    @property
    def tenant_id(self) -> str:
        """The id of ``tenant``. For operations in a tenant, which always have one."""
        assert self.tenant is not None, f"{self.operation.id} is not in a tenant"
        return self.tenant.value.id

    def next_url(self, marker: str | None) -> str | None:
        """``next`` of a list: this request again, from ``marker`` on; None when there is no more."""
        if marker is None:
            return None
        parameters = urllib.parse.parse_qsl(self.request.query_string, keep_blank_values=True)
        parameters = [(name, value) for name, value in parameters if name != "marker"]
        path = self.request.root_path + self.request.path
        return f"{path}?{urllib.parse.urlencode([*parameters, ('marker', marker)])}"

    def answer(self, committed: "transaction.Committed[Any]") -> "Answer":
        """What the operation's ``render`` makes of a transaction's result, with its revision as the ETag."""
        assert self.operation.render is not None, f"{self.operation.id} has no render"
        answer = self.operation.render(self, committed.result, committed.revision)
        return dataclasses.replace(answer, revision=committed.revision)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a responder returns."""

    #: A msgspec Struct (usually of ``Operation.answer``), or bytes of ``content_type``; None: no body.
    body: Any = None
    #: None: the operation's own status.
    status: int | None = None
    #: Sent as the ETag.
    revision: int | None = None
    #: False: it says more than its revision stands for, so nobody may take it for unchanged; no ETag.
    tagged: bool = True
    #: Path of what was made or is under way.
    location: str | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Instead of a body: chunks. An empty one is a chance to notice that the client has gone.
    stream: Iterator[bytes] | None = None
    #: Instead of a body: a program that the WebSocket is to be connected with.
    session: "sessions.Session | None" = None
    #: Media type of a stream or of bytes.
    content_type: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path."""

    #: operationId in the OpenAPI document, frozen: ``create_instance``.
    id: str
    method: str
    #: ``/v1/tenants/{tenant}/instances/{instance}``
    path: str
    summary: str
    #: OpenAPI tag: the resource's plural.
    tag: str
    handler: Callable[[Call], Answer]
    #: Rule name, ``instances:create``; None: open to all, no token asked.
    policy: str | None
    #: ``(call, what the transaction returned, revision) -> Answer``, pure and quick. Every POST that writes
    #: has it: so the answer can be kept under its Idempotency-Key, in the transaction itself. It is called
    #: there with revision 0, and a replayed body gets its real ``revision`` from the record. The handler
    #: then ends with ``return call.answer(committed)``. A POST whose answer is not to be kept anywhere (a
    #: credential, the output of a command) has none, and refuses the key.
    render: Callable[[Call, Any, int], Answer] | None = None
    #: msgspec Structs with ``forbid_unknown_fields=True``.
    body: type | None = None
    query: type | None = None
    #: The Struct answered; None: no body.
    answer: type | None = None
    status: int = 200
    #: Other statuses of success (an ``Answer`` names its own) with the Struct answered, for the document.
    other_answers: Mapping[int, type] = dataclasses.field(default_factory=dict)
    #: What can go wrong beyond what the guard itself answers (400, 401, 403, 404 of the tenant, 503).
    errors: Sequence[type[ApisvcError]] = ()
    #: What it answers depends on more than the resource (the caller, what workers saw): its revision is no ETag.
    untagged: bool = False
    #: Takes If-Match (every write that replaces or removes).
    conditional: bool = False
    #: The media types it streams, e.g. ``("text/event-stream",)``; such an answer has no schema.
    streams: Sequence[str] = ()
    #: Is a WebSocket (``web/terminals.py``); its status is 101.
    websocket: bool = False
    #: May take long, and so counts as an open stream of the tenant while it does.
    lasting: bool = False
    #: The media type of an answer that is neither JSON nor a stream; its body is bytes.
    produces: str | None = None
    #: The microversion that brought it.
    since: str = "1.0"
    description: str = ""

    @property
    def in_tenant(self) -> bool:
        """Whether ``{tenant}`` in its path is the tenant to act in (and must be visible to the caller)."""
        return self.path.startswith("/v1/tenants/{tenant}")


class Routes(abc.ABC):
    """A package of routes. Entry-point group ``apisvc.routes.v1``; built as ``Routes(services)``."""

    contract: str

    def __init__(self, services: "services.Services") -> None:
        self.services = services

    @abc.abstractmethod
    def operations(self) -> Sequence[Operation]:
        """Everything this package serves."""

    @classmethod
    def policies(cls) -> Sequence[policy.DocumentedRuleDefault]:
        """The default rules of its operations. Names not used elsewhere."""
        return ()
