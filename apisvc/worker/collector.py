"""Clearing the store of what is outdated. One worker does it, under a leased key."""

import collections
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
from oslo_config import cfg

from apisvc import errors
from apisvc.model import backends, codec, events, instances, keys, replays, users
from apisvc.service import removal, transaction
from apisvc.storage import base as storage
from apisvc.worker import membership, metrics, steps

LOG = logging.getLogger(__name__)

#: Seconds between two rounds.
INTERVAL = 60.0
#: Deleted in one commit, looked at in one scan, deleted of one kind in one round.
BATCH, PAGE, ROUND = 100, 500, 5000
#: So many rounds are between two in which it looks for the events of tenants that are no more.
SELDOM = 60
#: Who holds it collects. No instance has this id.
KEY = keys.join(keys.CLAIMS, "-collector")


class Collector:
    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transactor: transaction.Transactor,
        members: membership.Membership,
        ran: steps.Steps,
        interval: float = INTERVAL,
    ) -> None:
        self._conf = conf.worker
        self._transactor = transactor
        self._store = transactor.store
        self._members = members
        self._steps = ran
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        #: (time, revision) of the rounds: how far back the history may be cut.
        self._rounds: collections.deque[tuple[float, int]] = collections.deque()
        #: Rounds since the places of events were searched for; 0: it is due.
        self._since_search = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()

    def join(self, deadline: float) -> None:
        """Wait for the thread, until an instant of ``time.monotonic()``."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.round()
            except (errors.ApisvcError, storage.LeaseLost) as error:
                LOG.warning("Collecting garbage: %s", error)
            except Exception:
                LOG.exception("Collecting garbage failed.")

    def round(self) -> None:
        """Everything once, in bounded batches, if this worker is the one to do it."""
        term = self._members.term
        if term is None or not self._elected(term):
            return
        now = self._transactor.clock.now()
        duties: dict[str, Callable[[], None]] = {
            "replays": lambda: self._collect(
                "replays", self._older(keys.REPLAYS, replays.Replay, now - self._conf.replays_keep)
            ),
            "tombstones": lambda: self._collect(
                "tombstones",
                self._older(keys.TOMBSTONES, instances.Tombstone, now - self._conf.tombstones_keep),
            ),
            "events": lambda: self._collect("events", self._old_events(now - self._conf.events_keep)),
            "tokens": lambda: self._expire_tokens(term, now),
            "history": lambda: self._compact(now),
        }
        for name, duty in duties.items():
            try:
                duty()
            except msgspec.DecodeError as error:
                # A newer release wrote it; that one collects it, and we what we know.
                LOG.warning("Collecting %s: a record of a form this release does not know: %s", name, error)

    def _elected(self, term: membership.Term) -> bool:
        record = self._store.get([KEY]).records.get(KEY)
        if record is not None:
            return codec.decode(record.value, backends.Claim).worker_id == term.worker_id
        claim = backends.Claim(worker_id=term.worker_id, at=self._transactor.clock.now())
        put = storage.Put(KEY, codec.encode(claim), term.lease.id)
        try:
            with self._steps.step("store.collect"):
                self._store.commit([storage.Absent(KEY)], [put])
        except storage.Conflict:
            return False
        return True

    # What is outdated

    def _older(self, prefix: str, kind: type, before: float) -> Iterator[storage.Record]:
        """The records under ``prefix`` made before an instant."""
        at: Callable[[object], float] = _AT[kind]
        for record in self._records(prefix):
            if at(codec.decode(record.value, kind)) < before:
                yield record

    def _old_events(self, before: float) -> Iterator[storage.Record]:
        """Events lie by tenant and then by time: of each tenant only the old end is read."""
        for place in self._event_places():
            first = self._store.scan(place, limit=1).records
            if not first or codec.decode(first[0].value, events.Event).at >= before:
                continue
            for record in self._records(place):
                if codec.decode(record.value, events.Event).at >= before:
                    break
                yield record

    def _event_places(self) -> Iterator[str]:
        """Where there are events: of each tenant, of none, and seldom also of the tenants that are no more.

        To look for these, from each place that has events for the next one, costs etcd each time a walk over the
        keys of all events that follow.
        """
        known = {keys.under(keys.EVENTS, keys.NO_TENANT)}
        known.update(keys.under(keys.EVENTS, keys.last(record.key)) for record in self._records(keys.TENANTS))
        yield from sorted(known)
        if self._since_search:
            self._since_search = (self._since_search + 1) % SELDOM
            return
        start: str | None = None
        while not self._stop.is_set():
            found = self._store.scan(keys.EVENTS, start=start, limit=1).records
            if not found:
                self._since_search = 1
                return
            tenant = found[0].key.removeprefix(keys.EVENTS).split("/")[0]
            place = f"{keys.EVENTS}{tenant}/"
            if place not in known:
                yield place
            start = f"{keys.EVENTS}{tenant}0"  # "0" follows "/"

    def _records(self, prefix: str) -> Iterator[storage.Record]:
        for page in storage.pages(self._store, prefix, limit=PAGE):
            if self._stop.is_set():
                return
            yield from page.records

    def _collect(self, kind: str, outdated: Iterator[storage.Record]) -> None:
        """Delete them, each only if it is still what was looked at."""
        some = itertools.islice(outdated, ROUND)
        while batch := list(itertools.islice(some, BATCH)):
            self._delete(kind, batch)

    def _delete(self, kind: str, batch: list[storage.Record]) -> None:
        guards = [storage.AtRevision(record.key, record.revision) for record in batch]
        try:
            with self._steps.step("store.collect"):
                self._store.commit(guards, [storage.Delete(record.key) for record in batch])
        except storage.Conflict:
            return  # the next round looks anew
        metrics.COLLECTED.labels(kind).inc(len(batch))

    def _expire_tokens(self, term: membership.Term, now: float) -> None:
        for record in self._records(keys.TOKENS):
            expires_at = codec.decode(record.value, users.Token).expires_at
            if expires_at is None or expires_at > now:
                continue

            def work(txn: transaction.Transaction, key: str = record.key) -> None:
                found = txn.read(key, users.Token)
                if found is not None:
                    removal.drop_token(txn, keys.last(key), found)

            with self._steps.step("store.collect"):
                self._transactor.transact(term.context(10.0), work)
            metrics.COLLECTED.labels("tokens").inc()

    def _compact(self, now: float) -> None:
        """Forget the store's history older than the option says, as far as this worker has seen it begin."""
        while self._rounds and self._rounds[-1][0] > now:
            self._rounds.pop()  # the clock was set back: what is left of it counts from now on
        self._rounds.append((now, self._store.revision()))
        known = None
        while self._rounds and self._rounds[0][0] <= now - self._conf.history_keep:
            known = self._rounds.popleft()[1]
        if known is not None:
            with self._steps.step("store.collect"):
                self._store.compact(known, deadline=time.monotonic() + 60.0)


_AT: dict[type, Callable[..., float]] = {
    replays.Replay: lambda replay: replay.created_at,
    instances.Tombstone: lambda tombstone: tombstone.at,
}
