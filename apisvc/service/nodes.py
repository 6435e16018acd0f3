"""The machines inside the backends, for administrators: asked of the backends at that moment."""

from collections.abc import Sequence

from apisvc import errors
from apisvc.compute import base as compute
from apisvc.model import events
from apisvc.service import context, live, transaction


class Nodes:
    """No record is kept of a node; what is done to one is an event."""

    def __init__(self, transactor: transaction.Transactor, calls: live.Live) -> None:
        self._transactor = transactor
        self._live = calls

    def list(self, ctx: context.Context, backend: str | None = None) -> Sequence[live.NodesOf]:
        """Those of all backends, or of one; see :meth:`apisvc.service.live.Live.nodes`."""
        return self._live.nodes(ctx, backend)

    def get(self, ctx: context.Context, backend: str, name: str) -> compute.Node:
        """One node.

        :raises NotFound: there is no such backend, or no such node in it.
        :raises Unsupported: its driver knows of no nodes.
        :raises BackendUnavailable: the backend cannot be asked.
        """

        def find(driver: compute.Nodes, deadline: float) -> compute.Node | None:
            return next((node for node in driver.nodes(deadline=deadline) if node.name == name), None)

        found = self._live.call(ctx, backend, compute.Nodes, find)
        if found is None:
            raise errors.NotFound(f"No node {name!r} on backend {backend!r}.")
        return found

    def set_schedulable(
        self, ctx: context.Context, backend: str, name: str, schedulable: bool
    ) -> transaction.Committed[compute.Node]:
        """Let the node take new instances, or keep them away from it; raises as :meth:`get`.

        The event is written after the backend has done it: where that fails, asking again writes it.
        """

        def cordon(driver: compute.Cordon, deadline: float) -> compute.Node:
            return driver.cordon(name, schedulable, deadline=deadline)

        node = self._live.call(ctx, backend, compute.Cordon, cordon)

        def work(txn: transaction.Transaction) -> compute.Node:
            txn.event(
                "node.uncordon" if schedulable else "node.cordon",
                events.Target(kind="node", id=f"{backend}/{name}", name=name),
                backend=backend,
                schedulable=node.schedulable,
            )
            return node

        return self._transactor.transact(ctx, work)
