"""Being one of the live workers: a lease that is kept alive, a record bound to it, a share of the work."""

import dataclasses
import hashlib
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from apisvc import errors
from apisvc.model import backends, codec, events, keys
from apisvc.service import context, transaction
from apisvc.storage import base as storage
from apisvc.worker import metrics, steps

LOG = logging.getLogger(__name__)


@dataclasses.dataclass
class Term:
    """One lease, from its grant to its loss. A claim belongs to a term, not to a process."""

    worker_id: str
    lease: storage.Lease
    #: On the ``time.monotonic()`` clock: until then the lease has certainly not ended.
    good_until: float
    lost: bool = False

    @property
    def valid(self) -> bool:
        return not self.lost and time.monotonic() < self.good_until

    def context(self, seconds: float) -> context.Context:
        """For a commit of this worker."""
        actor = events.Actor(kind="worker", id=self.worker_id, name=socket.gethostname())
        return context.Context(actor=actor, deadline=time.monotonic() + seconds)


def owner(candidates: Iterable[str], key: str) -> str | None:
    """Who of ``candidates`` serves ``key``: rendezvous hashing, so a change of workers moves few keys."""
    return max(
        candidates,
        key=lambda candidate: hashlib.blake2b(f"{candidate}\0{key}".encode(), digest_size=8).digest(),
        default=None,
    )


class Membership:
    """Keeps a term running: a new one whenever the last was lost, until stopped."""

    def __init__(
        self,
        transactor: transaction.Transactor,
        ran: steps.Steps,
        backend_names: tuple[str, ...],
        ttl: float,
        on_term: Callable[[Term], None],
    ) -> None:
        """``on_term`` is called (from the keep-alive thread) at the beginning of each term."""
        self._transactor = transactor
        self._steps = ran
        self._backends = backend_names
        self._ttl = ttl
        self._on_term = on_term
        self._stop = threading.Event()
        self._term: Term | None = None
        self._joined = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-alive", daemon=True)
        self._live: dict[str, backends.Worker] = {}
        metrics.LEASE.set_function(lambda: self.term is not None)

    @property
    def term(self) -> Term | None:
        """The present term, or None while there is none that is surely good."""
        term = self._term
        return term if term is not None and term.valid else None

    def start(self) -> None:
        self._thread.start()

    def wait_joined(self, timeout: float) -> bool:
        return self._joined.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """End the term: the lease is revoked, so that others take over at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        term, self._term = self._term, None
        if term is None or term.lost:
            return
        term.lost = True
        try:
            term.lease.revoke(deadline=time.monotonic() + timeout)
        except errors.StoreUnavailable as error:
            LOG.warning("Lease not revoked, it ends in %.0f s by itself: %s", term.lease.ttl, error.detail)

    # Sharing

    def set_live(self, workers: Mapping[str, backends.Worker]) -> None:
        """Who lives, as the store says."""
        self._live = dict(workers)

    def mine(self, key: str, backend: str | None = None) -> bool:
        """Is ``key`` ours to serve? ``backend``: only those who have it share it."""
        term = self._term
        if term is None:
            return False
        names = {name for name, worker in self._live.items() if backend is None or backend in worker.backends}
        # Our own record may not have come back to us yet.
        return owner(names | {term.worker_id}, key) == term.worker_id

    # The thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._join()
                self._keep_alive()
            except storage.LeaseLost:
                LOG.warning("The lease of this worker has ended; beginning a new term.")
            except errors.ApisvcError as error:
                LOG.warning("No term as a worker: %s", error.detail)
                self._stop.wait(random.uniform(0.2, 1.0))
            except Exception:
                LOG.exception("Keeping the lease failed; beginning a new term.")
                self._stop.wait(1.0)
            finally:
                if self._term is not None and not self._stop.is_set():
                    self._term.lost = True

    def _join(self) -> None:
        asked = time.monotonic()
        lease = self._transactor.store.lease(self._ttl)
        term = Term(self._transactor.ids.new(), lease, asked + lease.ttl)
        record = backends.Worker(
            id=term.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._transactor.clock.now(),
            backends=self._backends,
        )

        def work(txn: transaction.Transaction) -> None:
            txn.put(keys.join(keys.WORKERS, record.id), record, lease=lease.id)
            target = events.Target(kind="worker", id=record.id, name=record.host)
            txn.event("worker.start", target, pid=record.pid, backends=list(record.backends))

        with self._steps.step("store.join"):
            self._transactor.transact(term.context(self._ttl), work)
        LOG.info("Worker %s serves %s.", term.worker_id, ", ".join(self._backends) or "no backend")
        metrics.TERMS.inc()
        self._term = term
        self._joined.set()
        self._on_term(term)

    def _keep_alive(self) -> None:
        term = self._term
        assert term is not None
        while not self._stop.wait(self._ttl / 3):
            asked = time.monotonic()
            try:
                with self._steps.step("store.keep_alive"):
                    term.lease.keep_alive(deadline=min(asked + self._ttl / 3, term.good_until))
            except errors.StoreUnavailable as error:
                LOG.warning("Lease not renewed: %s", error.detail)
                if not term.valid:
                    raise storage.LeaseLost from None
                continue
            if term.lost:
                # A pass has given it up while the lease lives on; let its claims go, they serve nobody.
                term.lease.revoke(deadline=asked + self._ttl / 3)
                raise storage.LeaseLost
            term.good_until = asked + term.lease.ttl


def workers(records: Mapping[str, storage.Record]) -> dict[str, backends.Worker]:
    """Worker records by id."""
    found = [codec.decode(record.value, backends.Worker) for record in records.values()]
    return {worker.id: worker for worker in found}
