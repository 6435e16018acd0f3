"""The store transactions of a worker about one instance.

Each is guarded by the revision of the instance that was decided on and by the
claim: held by this term, or (for a commit that only records what was seen) held
by nobody. So a worker that lost its lease, or was overtaken, writes nothing.
"""

import dataclasses
import logging

import msgspec

from apisvc.model import backends, events, instances, keys
from apisvc.service import ledgers, transaction
from apisvc.storage import base as storage
from apisvc.worker import membership, metrics, steps

LOG = logging.getLogger(__name__)

#: Seconds a commit may take before the pass gives up; it begins anew by looking.
COMMIT_TIMEOUT = 10.0


class Overtaken(Exception):
    """The instance or its claim changed meanwhile; nothing was written."""


@dataclasses.dataclass
class Held:
    """An instance in the hand of one pass, kept up to date by the commits."""

    key: str
    instance: instances.Instance
    revision: int
    #: The revision of our claim; None: nobody holds one.
    claim: int | None

    @property
    def claim_key(self) -> str:
        return keys.join(keys.CLAIMS, self.instance.id)


class Commits:
    def __init__(self, transactor: transaction.Transactor, ran: steps.Steps) -> None:
        self._transactor = transactor
        self._steps = ran

    def claim(self, term: membership.Term, held: Held, status: instances.Status, why: str) -> None:
        """Take the claim (if not yet ours) and move the status; no write when both are so already."""
        if held.claim is not None and status == held.instance.status:
            return
        txn = self._begin(term, held)
        taken = held.claim is None
        if taken:
            claim = backends.Claim(worker_id=term.worker_id, at=txn.now)
            txn.put(held.claim_key, claim, lease=term.lease.id)
        self._put(txn, held, status, why)
        revision = self._commit("store.claim", txn)
        self._moved(held, status, revision)
        if taken:
            held.claim = revision
            metrics.CLAIMS.inc()

    def record(
        self,
        name: str,
        term: membership.Term,
        held: Held,
        status: instances.Status,
        why: str,
        *,
        release: bool,
    ) -> None:
        """Move the status, and release the claim if told so; no write when there is nothing to write."""
        release = release and held.claim is not None
        if status == held.instance.status and not release:
            return
        txn = self._begin(term, held)
        if status == held.instance.status:
            # Releasing is nobody's business but ours: no event.
            txn.delete(held.claim_key)
            self._commit("store.release", txn)
        else:
            if release:
                txn.delete(held.claim_key)
            self._put(txn, held, status, why)
            self._moved(held, status, self._commit(name, txn))
        if release:
            held.claim = None

    def remove(self, term: membership.Term, held: Held) -> None:
        """The end: the backend says that nothing is left. The quota is given back here and nowhere else."""
        instance = held.instance

        def work(txn: transaction.Transaction) -> bool:
            found, claim = txn.read_many([(held.key, instances.Instance), (held.claim_key, backends.Claim)])
            if found is None or claim is None or claim.revision != held.claim:
                raise Overtaken
            used = found.value.spec.amounts
            ledgers.release(txn, instance.tenant_id, used, instance.spec.backend)
            txn.delete(held.key)
            txn.delete(keys.join(keys.INSTANCE_NAMES, instance.tenant_id, instance.name))
            txn.delete(keys.join(keys.INSTANCE_TENANTS, instance.id))
            if adopted := found.value.spec.adopt:
                txn.delete(keys.join(keys.ADOPTIONS, instance.spec.backend, adopted))
            txn.delete(held.claim_key)
            tombstone = instances.Tombstone(
                instance_id=instance.id,
                tenant_id=instance.tenant_id,
                backend=instance.spec.backend,
                at=txn.now,
            )
            txn.put(keys.join(keys.TOMBSTONES, instance.id), tombstone)
            txn.event(
                "instance.gone",
                _target(instance),
                tenant_id=instance.tenant_id,
                before=found.revision,
                backend=instance.spec.backend,
                released=used.as_dict(),
            )
            return True

        with self._steps.step("store.remove"):
            self._transactor.transact(term.context(COMMIT_TIMEOUT), work)
        LOG.info("Instance %s on %s: gone", instance.id, instance.spec.backend)

    def _begin(self, term: membership.Term, held: Held) -> transaction.Transaction:
        txn = transaction.Transaction(self._transactor, term.context(COMMIT_TIMEOUT))
        txn.guard(storage.AtRevision(held.key, held.revision))
        claim = held.claim
        txn.guard(
            storage.Absent(held.claim_key) if claim is None else storage.AtRevision(held.claim_key, claim)
        )
        return txn

    def _put(self, txn: transaction.Transaction, held: Held, status: instances.Status, why: str) -> None:
        before, instance = held.instance.status, held.instance
        txn.put(held.key, msgspec.structs.replace(instance, status=status, updated_at=txn.now))
        moved = before.state is not status.state
        detail = {
            "backend": instance.spec.backend,
            "generation": instance.generation,
            "state": status.state.value,
            "why": why,
            "fault": msgspec.to_builtins(status.fault),
            "exit_code": status.exit_code,
            "node": status.node,
        }
        if moved:
            detail |= {"from": before.state.value, "amounts": instance.spec.amounts.as_dict()}
        txn.event(
            "instance.state" if moved else "instance.status",
            _target(instance),
            tenant_id=instance.tenant_id,
            before=held.revision,
            **{name: value for name, value in detail.items() if value is not None},
        )

    def _commit(self, name: str, txn: transaction.Transaction) -> int:
        # A conflict is final here: whatever changed, the decision must be made anew.
        try:
            with self._steps.step(name):
                return txn.commit(None)
        except storage.Conflict:
            raise Overtaken from None

    def _moved(self, held: Held, status: instances.Status, revision: int) -> None:
        before = held.instance
        if before.status.state is not status.state:
            LOG.info(
                "Instance %s on %s: %s -> %s",
                before.id,
                before.spec.backend,
                before.status.state.value,
                status.state.value,
            )
        held.instance = msgspec.structs.replace(held.instance, status=status)
        held.revision = revision


def _target(instance: instances.Instance) -> events.Target:
    return events.Target(kind="instance", id=instance.id, name=instance.name)
