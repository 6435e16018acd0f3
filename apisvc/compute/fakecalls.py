"""The ``fake`` driver's options, and what all its calls stand on: the script, the outage, the backend's lock."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from oslo_config import cfg

from apisvc.compute import base, fakecloud, fakescript

T = TypeVar("T")
Phase = base.Phase


#: What of a workload can be another one while the object goes on.
_IN_PLACE = ("spec_hash", "vcpus", "ram_mb", "disk_gb", "flavor", "labels", "power", "reboots", "handle")


def shape(workload: base.Workload) -> str:
    """Names what of ``workload`` needs another object when it changes. Nothing of it can be read back."""
    fields = dataclasses.asdict(workload)
    rest = {name: value for name, value in fields.items() if name not in (*_IN_PLACE, "name", "tenant")}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


class FakeCalls(base.ComputeDriver):
    contract = "1.0"
    accepts = base.OPTIONAL_FIELDS

    def __init__(self, backend: base.BackendContext, cloud: fakecloud.Cloud | None = None) -> None:
        """``cloud``: for tests that give several drivers the same backend."""
        super().__init__(backend)
        state_file = backend.conf.state_file
        self.cloud = cloud or (
            fakecloud.FileCloud(state_file) if state_file else fakecloud.MemoryCloud()
        )  #: for tests: what there is
        self.script = fakescript.Script()  #: for tests: what goes wrong next
        self._tenants: set[str] = set()
        self._error = fakescript.ERRORS.get(backend.conf.error)

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return [
            cfg.FloatOpt(
                "delay",
                default=0.0,
                min=0.0,
                help="Seconds that each transition of an instance takes, unless its label fake.delay says otherwise.",
            ),
            cfg.FloatOpt("call_delay", default=0.0, min=0.0, help="Seconds that every call takes."),
            cfg.StrOpt(
                "error",
                choices=sorted(fakescript.ERRORS),
                help="Every call that changes an instance raises this error of the closed set.",
            ),
            cfg.BoolOpt("outage", default=False, help="Every call raises unavailable."),
            cfg.BoolOpt(
                "partial_outage", default=False, help="The backend takes orders but cannot be listed."
            ),
            cfg.IntOpt(
                "capacity", min=0, help="Instances it has room for; more raise no_capacity. Unset: no limit."
            ),
            cfg.StrOpt(
                "state_file",
                help="SQLite file that keeps what was made: shared by API and worker, and still there after "
                "a restart. Unset: in the memory of each process.",
            ),
        ]

    def close(self) -> None:
        self.cloud.close()

    # For tests

    def end(self, instance_id: str, exit_code: int = 0) -> None:
        """It ends by itself."""
        with self.cloud.locked():
            found = self._find(instance_id, now := time.time())
            if found is None:
                raise KeyError(instance_id)
            found.exit_code = exit_code
            self._move(found, [(now, Phase.EXITED)])

    def vanish(self, instance_id: str) -> None:
        """Somebody takes it away behind our back."""
        with self.cloud.locked():
            self.cloud.drop(instance_id)

    def objects(self) -> Sequence[base.Observed]:
        """All there is, whoever owns it and whatever outage is on."""
        now = time.time()
        with self.cloud.locked():
            return [seen for found in self.cloud.all() if (seen := found.observed(now))]

    # Within a call

    def _call(
        self,
        name: str,
        instance_id: str,
        deadline: float,
        do: Callable[[float], T],
        *,
        knobs: Mapping[str, str] | None = None,
    ) -> T:
        conf = self.backend.conf
        lost = self.script.enter(name, instance_id, knobs or {}, delay=conf.call_delay, deadline=deadline)
        if conf.outage or (conf.partial_outage and name == "observe"):
            raise base.Unavailable
        if self._error and name in ("ensure", "delete", "stop", "start", "reboot"):
            raise self._error()
        with self.cloud.locked():
            answer = do(time.time())
        if lost:
            raise base.Timeout("The answer was lost.")
        return answer

    def _find(self, instance_id: str, now: float) -> fakecloud.Object | None:
        """Our object, unless it is gone by now."""
        found = self.cloud.get(instance_id)
        if found is None or found.tag.owner != self.backend.owner:
            return None
        if found.phase(now) is None:
            self.cloud.drop(instance_id)
            return None
        return found

    def _move(self, found: fakecloud.Object, timeline: fakecloud.Timeline) -> fakecloud.Object:
        found.set(timeline)
        self.cloud.put(found)
        return found
