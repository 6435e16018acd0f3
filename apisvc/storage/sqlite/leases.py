"""Leases: rows of their own, judged by the host's monotonic clock."""

from collections.abc import Callable

from apisvc.storage import base
from apisvc.storage.sqlite import process, transactions


class SqliteLease(base.Lease):
    """A lease of this host. A reboot ends it, as it ended its holder."""

    def __init__(self, here: Callable[[], process.Process], lease_id: str, ttl: float) -> None:
        self.id = lease_id
        self.ttl = ttl
        self._here = here

    def begin(self, deadline: float | None) -> None:
        """Write it into the store."""
        here = self._here()
        here.write(
            lambda connection: transactions.begin_lease(connection, here.now(), self.id, self.ttl), deadline
        )

    def keep_alive(self, *, deadline: float | None = None) -> None:
        here = self._here()
        here.transact(
            lambda connection: transactions.extend_lease(connection, here.now(), self.id, self.ttl), deadline
        )

    def revoke(self, *, deadline: float | None = None) -> None:
        self._here().transact(lambda connection: transactions.end_leases(connection, [self.id]), deadline)
