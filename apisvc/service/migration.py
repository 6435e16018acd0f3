"""A store moved to another one, as from SQLite to etcd and back."""

import dataclasses
import hashlib
from collections.abc import Iterable

from apisvc import errors
from apisvc.model import backends, codec, keys
from apisvc.service import consistency, dump, filling, layout
from apisvc.storage import base as storage


@dataclasses.dataclass(frozen=True)
class Migrated:
    """What was copied."""

    records: int
    sha256: str
    #: The source was written to meanwhile; the copy is as things were when it was begun.
    outdated: bool = False


def migrate(
    source: storage.Store,
    target: storage.Store,
    *,
    force: bool = False,
    progress: dump.Progress = dump.silent,
) -> Migrated:
    """Copy all records of ``source``, as they are at one revision, into the empty ``target``.

    What is bound to a lease (workers, claims) speaks of processes and stays
    behind. Count and SHA-256 of the copy are compared with the source's before
    the target is marked as whole.

    ``force``: also while workers are alive, and though the source is written to.

    :raises StartError: the source is of a newer release, or a restore into it did not finish.
    :raises Conflict: the source holds nothing or is in use, or the target is not empty.
    :raises StoreUnavailable: either cannot be reached.
    """
    if layout.look(source) is None:
        raise errors.Conflict("The store is empty: there is nothing to migrate.")
    if not force:
        _require_rest(source)
    filled = filling.Filling(target, "The target")
    revision = source.revision()
    wanted = _fingerprint(consistency.read(source, revision))
    done = 0
    for record in consistency.read(source, revision):
        if record.lease is None:
            filled.add(record.key, record.value)
            done += 1
            progress(done, wanted.records)
    filled.flush()
    _require_same(wanted, _fingerprint(consistency.read(target)))
    outdated = source.revision() != revision and _fingerprint(consistency.read(source)) != wanted
    if outdated and not force:
        raise errors.Conflict(
            "The source was written to while it was copied, so the copy is not used: stop API and workers, "
            "and begin again with a new target."
        )
    filled.finish()
    return dataclasses.replace(wanted, outdated=outdated)


def _require_rest(source: storage.Store) -> None:
    alive = source.scan(keys.WORKERS).records
    if alive:
        worker = codec.decode(alive[0].value, backends.Worker)
        raise errors.Conflict(
            f"Workers are alive ({len(alive)}, one of them on {worker.host}, pid {worker.pid}). Stop all workers "
            "and API processes first; a worker that was killed is forgotten when its lease is over."
        )


def _require_same(wanted: Migrated, found: Migrated) -> None:
    if wanted != found:
        raise errors.Conflict(
            f"The copy is not the same: {wanted.records} records with SHA-256 {wanted.sha256} became "
            f"{found.records} with {found.sha256}. Something else writes to the target; begin again with a new one."
        )


def _fingerprint(records: Iterable[storage.Record]) -> Migrated:
    """Count and hash of what is not leased, the layout version aside: the copy gets that last."""
    digest = hashlib.sha256()
    count = 0
    for record in records:
        if record.lease is None and record.key != keys.SCHEMA:
            key = record.key.encode()
            digest.update(b"%d %d " % (len(key), len(record.value)) + key + record.value)
            count += 1
    return Migrated(count, digest.hexdigest())
