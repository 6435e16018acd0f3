"""Workers, as their leased records show them."""

from apisvc.model import backends, codec, keys
from apisvc.service import context, transaction

#: More workers than anybody runs; the list has no pages.
MOST = 1000


class Workers:
    """Who is there to act. A record vanishes with its worker's lease."""

    def __init__(self, transactor: transaction.Transactor) -> None:
        self._store = transactor.store

    def list(self, ctx: context.Context) -> list[codec.Versioned[backends.Worker]]:
        """All that live now."""
        page = self._store.scan(keys.WORKERS, limit=MOST, deadline=ctx.deadline)
        return [
            codec.Versioned(codec.decode(record.value, backends.Worker), record.revision)
            for record in page.records
        ]
