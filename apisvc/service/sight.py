"""Which backends are out of sight, so that what is known of their instances is old.

Derived when instances are read, from what the workers' last looks said: nothing
of an instance is written because its backend cannot be reached.
"""

from collections.abc import Iterable, Mapping

from apisvc.compute import base as compute
from apisvc.model import backends, codec, instances, keys
from apisvc.service import context, records
from apisvc.storage import base as storage

#: Backends out of sight, and when each was last seen in full (None: not known).
Lost = Mapping[str, float | None]


class Sight:
    """What the workers see."""

    def __init__(
        self, store: storage.Store, loaded: Mapping[str, compute.LoadedBackend], clock: context.Clock
    ) -> None:
        self._store = store
        self._loaded = loaded
        self._clock = clock

    def lost(self, names: Iterable[str], *, deadline: float) -> Lost:
        """Those of the backends that are out of sight: the last look failed, nobody looks, or none is configured.

        A backend that no worker has looked at yet is not. One read, in which
        only what is needed is decoded.
        """
        wanted = {keys.join(keys.BACKEND_HEALTH, name): name for name in names}
        found = records.get_raw(self._store, list(wanted), deadline=deadline)
        lost: dict[str, float | None] = {}
        for key, name in wanted.items():
            record = found.get(key)
            pulse = codec.decode(record.value, backends.Pulse) if record else None
            if name not in self._loaded or (pulse is not None and self._is_lost(pulse)):
                lost[name] = pulse.seen_at if pulse else None
        return lost

    def of(self, found: Iterable[instances.Instance], *, deadline: float) -> Lost:
        """Those of the backends of some instances; what was never observed cannot be out of sight."""
        names = {one.spec.backend for one in found if one.status.observed_at is not None}
        return self.lost(sorted(names), deadline=deadline) if names else {}

    def all(self, *, deadline: float) -> Lost:
        """Those of the configured backends."""
        return self.lost(self._loaded, deadline=deadline)

    def stale(self, instance: instances.Instance, lost: Lost) -> bool:
        """Whether the instance's state is old, when these backends are lost."""
        name = instance.spec.backend
        return instance.status.observed_at is not None and (name in lost or name not in self._loaded)

    def _is_lost(self, pulse: backends.Pulse) -> bool:
        return not pulse.healthy or (pulse.good_until is not None and pulse.good_until < self._clock.now())
