"""All instances as this worker last heard of them, kept by the watch; and who must be worked."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping

import msgspec

from apisvc.model import codec, instances, keys
from apisvc.service import context
from apisvc.storage import base as storage
from apisvc.worker import membership, reconcile
from apisvc.worker import site as sites

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    key: str
    instance: instances.Instance
    revision: int


class View:
    """Turns what changes in the store into work for the sites."""

    def __init__(
        self, site_by_name: Mapping[str, sites.Site], members: membership.Membership, clock: context.Clock
    ) -> None:
        self._sites = site_by_name
        self._members = members
        self._clock = clock
        self._known: dict[str, Known] = {}  # by instance id
        self._strange: set[str] = set()

    def get(self, instance_id: str) -> Known | None:
        return self._known.get(instance_id)

    def on(self, backend: str) -> list[Known]:
        """The instances of a backend."""
        return [known for known in list(self._known.values()) if known.instance.spec.backend == backend]

    # What the followers tell

    def listed(self, records: Mapping[str, storage.Record]) -> None:
        """All instances there are."""
        self._known = {
            keys.last(key): Known(key, instance, record.revision)
            for key, record in records.items()
            if (instance := _decode(key, record.value)) is not None
        }
        self.reconsider()

    def changed(self, change: storage.Change) -> instances.Instance | None:
        """One instance was written, or (the answer is its last version) removed."""
        instance_id = keys.last(change.key)
        if change.value is None:
            gone = self._known.pop(instance_id, None)
            if gone is None:
                return None
            if (site := self._sites.get(gone.instance.spec.backend)) is not None:
                site.forget(gone.key)  # it may have been another worker that saw to its end
            return gone.instance
        instance = _decode(change.key, change.value)
        if instance is not None:
            known = self._known[instance_id] = Known(change.key, instance, change.revision)
            self._consider(known)
        return None

    def claim_ended(self, instance_id: str) -> None:
        """Nobody acts on it now; is anything left to do?"""
        known = self._known.get(instance_id)
        if known is not None:
            self._consider(known)

    def heard_of(self, instance_id: str) -> None:
        """The backend says that it may have changed; every worker that has the backend hears that."""
        known = self._known.get(instance_id)
        if known is None:
            return
        site = self._sites.get(known.instance.spec.backend)
        if site is not None and self._members.mine(instance_id, site.name):
            site.wake(known.key, force=True)

    def reconsider(self, backend: str | None = None) -> None:
        """Go through all (of a backend): after a change of workers or of an operator's mind."""
        for known in self._everything(backend):
            self._consider(known)

    def _everything(self, backend: str | None) -> Iterator[Known]:
        return iter(list(self._known.values()) if backend is None else self.on(backend))

    def _consider(self, known: Known) -> None:
        instance = known.instance
        if reconcile.settled(instance):
            return
        name = instance.spec.backend
        site = self._sites.get(name)
        if site is None:
            if name not in self._strange:
                self._strange.add(name)
                LOG.warning("Backend %s has instances but is not among enabled_backends here.", name)
            return
        if not self._members.mine(instance.id, name):
            return
        retry = instance.status.retry
        if retry is not None and retry.generation == instance.generation:
            site.wake(known.key, retry.left(self._clock.now()))
        else:
            site.wake(known.key)


def _decode(key: str, raw: bytes) -> instances.Instance | None:
    """None: a record that this release cannot read must not keep it from the others."""
    try:
        return codec.decode(raw, instances.Instance)
    except msgspec.DecodeError as error:
        LOG.error("Cannot read %s, its instance is not served: %s", key, error)
        return None
