"""Calls from the API straight to a backend's driver: what changes nothing and must not wait for a worker."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from oslo_config import cfg

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import backends, instances
from apisvc.service import breaker, context, placement, transaction

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
        backend = self._loaded.get(name)
        if backend is None:
            raise errors.Unsupported(f"Backend {name!r} is not configured any more.")
        driver = backend.driver
        if not isinstance(driver, compute.Logs):
            raise errors.Unsupported(f"Backend {name!r} has no logs: its driver lacks 'logs'.")
        self._require_not_disabled(ctx, [name])
        deadline = self._deadline(ctx)

        def begin() -> tuple[list[bytes], Iterator[bytes]]:
            chunks = driver.logs(instance.id, instance.tenant_id, request, deadline=deadline)
            return list(itertools.islice(chunks, 1)), chunks

        try:
            first, rest = self._call(backend, begin, deadline)
        except errors.NotFound:
            raise errors.NotFound(
                f"There is no output: instance {instance.name!r} is not on backend {name!r}."
            ) from None
        return Chunks(first, rest)

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

    def _require_not_disabled(self, ctx: context.Context, names: list[str]) -> None:
        operator = placement.operator_records(self._store, names, deadline=ctx.deadline)
        for name in names:
            _require_not_disabled(name, operator)

    def _call(self, backend: compute.LoadedBackend, work: Callable[[], T], deadline: float) -> T:
        try:
            return self._breakers[backend.name].start(work).result(deadline)
        except compute.DriverError as error:
            raise translated(backend.name, error) from error


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


def translated(name: str, error: compute.DriverError) -> errors.ApisvcError:
    """What a caller of the API is told of a driver's error."""
    if isinstance(error, compute.NotFound):
        return errors.NotFound(error.message)
    if isinstance(error, compute.InvalidSpec):
        return errors.Unsupported(f"Backend {name!r} refuses this: {error.message}")
    if isinstance(error, compute.DriverBug):
        return errors.BackendUnavailable(
            f"Backend {name!r} met an error that its driver does not know; it is in the log."
        )
    return errors.BackendUnavailable(
        f"Backend {name!r}: {error.message}", retry_after=error.retry_after or 1.0
    )


def _nodes(backend: compute.LoadedBackend, deadline: float) -> Callable[[], Sequence[compute.Node]]:
    driver = backend.driver
    if not isinstance(driver, compute.Nodes):
        raise errors.Unsupported(f"Backend {backend.name!r} has no nodes: its driver lacks 'nodes'.")
    return lambda: driver.nodes(deadline=deadline)


def _require_not_disabled(name: str, operator: placement.OperatorRecords) -> None:
    record = operator.get(name)
    if record is not None and record.value.state is backends.BackendState.DISABLED:
        raise errors.BackendUnavailable(f"Backend {name!r} is disabled by its operator.", retry_after=60)
