"""Events: pages of what happened, and feeds of what happens."""

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence

from oslo_config import cfg

from apisvc import errors
from apisvc.model import codec, events, keys
from apisvc.schemas import events as schema
from apisvc.service import context, listing, memberships, transaction
from apisvc.storage import base as storage

#: Seconds that a feed waits for changes before it says that there is nothing yet.
TICK = 1.0
#: Milliseconds that ids may lie before the time that is looked for: clocks of hosts differ.
_SLACK = 60_000


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """Whose events: those under ``prefix`` (and, of these, ``within``) for which ``keep`` holds."""

    prefix: str
    keep: Callable[[events.Event], bool]
    within: Sequence[str] | None = None
    since: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """A feed has come to ``revision``; ``events`` are what it brought, maybe nothing."""

    revision: int
    events: Sequence[codec.Versioned[events.Event]]


class Events:
    """What was written, by whom: each event in the transaction of the write itself."""

    def __init__(self, transactor: transaction.Transactor, conf: cfg.ConfigOpts) -> None:
        self._store = transactor.store
        self._conf = conf

    # Whose events

    def of_tenant(self, tenant_id: str, query: schema.EventQuery) -> Scope:
        """Those of one tenant."""
        return Scope(keys.under(keys.EVENTS, tenant_id), query.matches, since=_first_id(query))

    def of_instance(self, tenant_id: str, instance_id: str, query: schema.EventQuery) -> Scope:
        """Those whose target is one instance."""

        def keep(event: events.Event) -> bool:
            return event.target.id == instance_id and event.target.kind == "instance" and query.matches(event)

        # Nothing was done to it before it was made, which its id tells.
        since = max(_first_id(query), _id_at(uuid.UUID(instance_id).int >> 80))
        return Scope(keys.under(keys.EVENTS, tenant_id), keep, since=since)

    def of_all(self, query: schema.EventQuery) -> Scope:
        """All there are; a list has them by tenant."""
        return Scope(keys.EVENTS, query.matches)

    def of_caller(self, ctx: context.Context, query: schema.EventQuery) -> Scope:
        """What the caller did, and what was done to it, in its tenants and outside of any.

        By a token that is limited to a tenant: in that one only.
        """
        caller = memberships.caller(ctx)
        user_id = caller.user_id
        places = memberships.tenants_of(self._store, ctx)
        if caller.scope_tenant_id is None:
            places.append(keys.NO_TENANT)
        own = frozenset(places)

        def keep(event: events.Event) -> bool:
            return (
                user_id in (event.actor.id, event.target.id)
                and (event.tenant_id or keys.NO_TENANT) in own
                and query.matches(event)
            )

        within = [keys.under(keys.EVENTS, place) for place in places]
        return Scope(keys.EVENTS, keep, within, _first_id(query))

    # Reading

    def cursor(self, ctx: context.Context) -> int:
        """Now, for a feed that goes on from here."""
        return self._store.revision(deadline=ctx.deadline)

    def list(self, ctx: context.Context, scope: Scope, page: listing.Page) -> listing.Listed[events.Event]:
        """A page of them, newest last."""
        return listing.scan(
            self._store,
            scope.prefix,
            events.Event,
            page,
            keep=scope.keep,
            within=scope.within,
            since=scope.since,
            deadline=ctx.deadline,
        )

    def feed(self, ctx: context.Context, scope: Scope, after: int | None) -> "Feed":
        """What comes after the cursor ``after`` (None: from now on), without end.

        The first look is taken at once, so the errors of a bad cursor are
        raised here, not later.

        :raises InvalidRequest: the cursor lies in the future.
        :raises CursorExpired: the store's history no longer reaches back to it.
        """
        now = self._store.revision(deadline=ctx.deadline)
        if after is not None and after > now:
            raise errors.InvalidRequest(
                "The cursor lies in the future.",
                errors=(errors.FieldError("query:after", f"is {after}; the newest revision is {now}"),),
            )
        start = now if after is None else after
        try:
            return Feed(
                self._store.watch(scope.prefix, after=start, deadline=ctx.deadline), start, scope.keep
            )
        except storage.Compacted as compacted:
            raise _expired(compacted) from None


class Feed(Iterator[Progress]):
    """Yields at least every :data:`TICK` seconds; to be closed."""

    def __init__(self, watch: storage.Watch, start: int, keep: Callable[[events.Event], bool]) -> None:
        self._watch = watch
        self._revision = start
        self._keep = keep
        self._first: Progress | None = None
        self._first = self._poll(0)

    def __next__(self) -> Progress:
        progress, self._first = self._first, None
        if progress is None:
            progress = self._poll(TICK)
        if self._watch.closed:
            raise StopIteration
        return progress

    def close(self) -> None:
        """Let go of the watch."""
        self._watch.close()

    def _poll(self, timeout: float) -> Progress:
        try:
            batch = self._watch.poll(timeout)
        except storage.Compacted as compacted:
            self.close()
            raise _expired(compacted) from None
        except errors.StoreUnavailable:
            self.close()
            raise
        found = []
        for change in batch.changes if batch is not None else ():
            if change.value is None:
                continue  # trimmed by age
            event = codec.decode(change.value, events.Event)
            if self._keep(event):
                found.append(codec.Versioned(event, change.revision))
        if batch is not None:
            self._revision = batch.revision
        return Progress(self._revision, found)


def _expired(compacted: storage.Compacted) -> errors.CursorExpired:
    return errors.CursorExpired(oldest=compacted.revision)


def _first_id(query: schema.EventQuery) -> str:
    """The smallest id that an event not before ``query.since`` can have."""
    return "" if query.since is None else _id_at(int(query.since.timestamp() * 1000))


def _id_at(millis: int) -> str:
    """The smallest id of a record that may be from then, with some slack."""
    return str(uuid.UUID(int=max(0, millis - _SLACK) << 80))
