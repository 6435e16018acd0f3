"""Calls from the API straight to a backend's driver: what must not wait for a worker, and changes no instance."""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from oslo_config import cfg

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, instances
from apisvc.service import breaker, context, placement, sessions, transaction
from apisvc.service.sessions import translated

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class NodesOf:
    """The nodes of a backend, or why they cannot be listed just now."""

    backend: str
    nodes: Sequence[compute.Node] = ()
    error: errors.ApisvcError | None = None


class Live:
    """One breaker a backend; every call has a deadline."""

    def __init__(
        self,
        transactor: transaction.Transactor,
        conf: cfg.ConfigOpts,
        loaded: Mapping[str, compute.LoadedBackend],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = transactor.store
        self._loaded = loaded
        self._timeout: float = conf.live.timeout
        self._breakers = {
            name: breaker.Breaker(
                name,
                calls=conf.live.calls,
                failures=conf.live.failures,
                pause=conf.live.pause,
                clock=clock,
            )
            for name in loaded
        }

    def logs(
        self, ctx: context.Context, instance: instances.Instance, request: compute.LogRequest
    ) -> Iterator[bytes]:
        """What the instance printed, in chunks; with ``follow`` also what it will.

        An empty chunk says that there is nothing new yet. The first one is
        there when this returns, so errors are raised here.

        :raises Unsupported: its backend's driver has no logs.
        :raises NotFound: there is nothing on the backend (yet, or any more).
        :raises BackendUnavailable: the backend cannot be asked.
        """
        name = instance.spec.backend
        driver: compute.Logs = self._driver(ctx, name, compute.Logs)

        def begin(deadline: float) -> tuple[list[bytes], Iterator[bytes]]:
            chunks = driver.logs(instance.id, instance.tenant_id, request, deadline=deadline)
            return list(itertools.islice(chunks, 1)), chunks

        try:
            first, rest = self._call(ctx, name, begin)
        except errors.NotFound as error:
            if request.previous:
                raise
            raise errors.NotFound(
                f"There is no output: instance {instance.name!r} is not on backend {name!r}."
            ) from error
        return Chunks(first, rest)

    def exec(
        self, ctx: context.Context, instance: instances.Instance, request: compute.ExecRequest
    ) -> sessions.Session:
        """A program begun inside the instance; to be closed.

        :raises Unsupported: its backend's driver has no exec.
        :raises NotFound: there is nothing on the backend, or no such program in it.
        :raises WrongState: it does not run.
        :raises BackendUnavailable: the backend cannot be asked.
        """
        name = instance.spec.backend
        driver: compute.Exec = self._driver(ctx, name, compute.Exec)
        begin = functools.partial(driver.exec, instance.id, instance.tenant_id, request)
        terminal = self._call(
            ctx, name, lambda deadline: begin(deadline=deadline), refused=errors.WrongState, discard=_close
        )
        return sessions.Session(name, terminal)

    def console(self, ctx: context.Context, instance: instances.Instance) -> compute.ConsoleAccess:
        """Where its console is; raises as :meth:`exec`."""
        name = instance.spec.backend
        driver: compute.Console = self._driver(ctx, name, compute.Console)
        where = functools.partial(driver.console, instance.id, instance.tenant_id)
        return self._call(ctx, name, lambda deadline: where(deadline=deadline), refused=errors.WrongState)

    def issue(
        self, ctx: context.Context, name: str, request: compute.CredentialRequest
    ) -> compute.Credential:
        """A credential for the tenant's things on the backend, after what the tenant needs there is made.

        :raises NotFound, Unsupported, BackendUnavailable:
        """
        driver: Any = self._driver(ctx, name, compute.Credentials)

        def issue(deadline: float) -> compute.Credential:
            driver.ensure_tenant(request.tenant, deadline=deadline)
            made: compute.Credential = driver.issue(request, deadline=deadline)
            return made

        return self._call(ctx, name, issue)

    def issued(self, ctx: context.Context, name: str, tenant_id: str) -> Sequence[compute.Credential]:
        """The tenant's credentials on the backend that are good now; raises as :meth:`issue`."""
        driver: compute.Credentials = self._driver(ctx, name, compute.Credentials)
        return self._call(ctx, name, lambda deadline: driver.issued(tenant_id, deadline=deadline))

    def revoke(self, ctx: context.Context, name: str, tenant_id: str, credential_id: str) -> None:
        """From now on the backend refuses it; raises as :meth:`issue`."""
        driver: compute.Credentials = self._driver(ctx, name, compute.Credentials)
        self._call(ctx, name, lambda deadline: driver.revoke(tenant_id, credential_id, deadline=deadline))

    def require(self, ctx: context.Context, name: str, kind: type[Any]) -> None:
        """:raises Unsupported, BackendUnavailable: unless the backend could be asked for what ``kind`` can."""
        self._driver(ctx, name, kind)

    def call(self, ctx: context.Context, name: str, kind: type[Any], work: Callable[[Any, float], T]) -> T:
        """What ``work(driver, deadline)`` returns, of a backend whose driver has the capability ``kind``.

        :raises NotFound: there is no such backend, or the driver says that of what it is asked about.
        :raises Unsupported: its driver lacks the capability.
        :raises BackendUnavailable: the backend cannot be asked.
        """
        driver = self._driver(ctx, self._backend(name).name, kind)
        return self._call(ctx, name, lambda deadline: work(driver, deadline))

    def nodes(self, ctx: context.Context, only: str | None = None) -> list[NodesOf]:
        """The nodes of all backends (or of ``only`` that one), asked at the same time.

        :raises NotFound: there is no backend ``only``.
        """
        names = list(self._loaded) if only is None else [self._backend(only).name]
        operator = placement.operator_records(self._store, names, deadline=ctx.deadline)
        deadline = self._deadline(ctx)
        answers: dict[str, NodesOf] = {}
        calls: dict[str, breaker.Call[Sequence[compute.Node]]] = {}
        for name in names:
            try:
                _require_not_disabled(name, operator)
                calls[name] = self._breakers[name].start(_nodes(self._loaded[name], deadline))
            except errors.ApisvcError as error:
                answers[name] = NodesOf(name, error=error)
        for name, call in calls.items():
            try:
                answers[name] = NodesOf(name, call.result(deadline))
            except compute.DriverError as error:
                answers[name] = NodesOf(name, error=translated(name, error))
        return [answers[name] for name in names]

    # Within

    def _backend(self, name: str) -> compute.LoadedBackend:
        backend = self._loaded.get(name)
        if backend is None:
            raise errors.NotFound.of("backend", name)
        return backend

    def _deadline(self, ctx: context.Context) -> float:
        return min(ctx.deadline, time.monotonic() + self._timeout)

    def _driver(self, ctx: context.Context, name: str, kind: type[Any]) -> Any:
        """The driver of a backend that is configured, has the capability, and is not disabled."""
        backend = self._loaded.get(name)
        if backend is None:
            raise errors.Unsupported(f"Backend {name!r} is not configured any more.")
        if not isinstance(backend.driver, kind):
            word = kind.__name__.lower()
            raise errors.Unsupported(f"Backend {name!r} has no {word}: its driver lacks {word!r}.")
        _require_not_disabled(name, placement.operator_records(self._store, [name], deadline=ctx.deadline))
        return backend.driver

    def _call(
        self,
        ctx: context.Context,
        name: str,
        work: Callable[[float], T],
        *,
        refused: type[errors.Conflict] = errors.Unsupported,
        discard: Callable[[T], None] | None = None,
    ) -> T:
        """What ``work(deadline)`` returns; ``discard`` gets it when it comes too late."""
        deadline = self._deadline(ctx)
        try:
            return self._breakers[name].start(lambda: work(deadline)).result(deadline, discard)
        except compute.DriverError as error:
            raise translated(name, error, refused) from error


class Chunks(Iterator[bytes]):
    """Output of an instance; to be closed. A backend that fails in the middle ends it with a domain error."""

    def __init__(self, first: list[bytes], rest: Iterator[bytes]) -> None:
        self._chunks = itertools.chain(first, rest)
        self._rest = rest

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except compute.DriverError as error:
            raise errors.BackendUnavailable(error.message) from error

    def close(self) -> None:
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()


def _close(terminal: compute.Terminal) -> None:
    terminal.close()


def _nodes(backend: compute.LoadedBackend, deadline: float) -> Callable[[], Sequence[compute.Node]]:
    driver = backend.driver
    if not isinstance(driver, compute.Nodes):
        raise errors.Unsupported(f"Backend {backend.name!r} has no nodes: its driver lacks 'nodes'.")
    return lambda: driver.nodes(deadline=deadline)


def _require_not_disabled(name: str, operator: placement.OperatorRecords) -> None:
    record = operator.get(name)
    if record is not None and record.value.state is backends.BackendState.DISABLED:
        raise errors.BackendUnavailable(f"Backend {name!r} is disabled by its operator.", retry_after=60)
