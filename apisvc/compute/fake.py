"""The ``fake`` driver: an ordinary driver whose backend is made up.

It can all that the contract knows, and it misbehaves on demand
(:mod:`apisvc.compute.fakescript`): for tests, demos and scale runs. What it
made is in memory (``state_file`` unset), or in a file that several processes
share and that outlives them.
"""

import dataclasses
import heapq
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from apisvc.compute import base, fakeaccess, fakecalls, fakecloud, fakescript

Phase = base.Phase


class FakeDriver(fakeaccess.FakeAccess, base.Power, base.Watch, base.Resize):
    # The core

    def check(self, *, deadline: float) -> base.Health:
        return self._call("check", "", deadline, lambda now: base.Health(version="fake"))

    def ensure_tenant(self, tenant: base.TenantView, *, deadline: float) -> None:
        self._call("ensure_tenant", "", deadline, lambda now: self._tenants.add(tenant.id))

    def remove_tenant(self, tenant_id: str, *, deadline: float) -> bool:
        self._call("remove_tenant", "", deadline, lambda now: self._tenants.discard(tenant_id))
        return True

    def ensure(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._change("ensure", workload, deadline, self._ensure)

    def observe(self, ids: Sequence[str] | None = None, *, deadline: float) -> Sequence[base.Observed]:
        return self._call("observe", "", deadline, lambda now: self._observe(ids, now))

    def delete(self, instance_id: str, tenant_id: str, *, deadline: float) -> bool:
        with self.cloud.locked():
            found = self._find(instance_id, time.time())
        knobs = found.knobs if found else {}
        return self._call(
            "delete", instance_id, deadline, lambda now: self._delete(instance_id, now), knobs=knobs
        )

    # Capabilities

    def stop(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._change("stop", workload, deadline, lambda w, k, now: self._stop(self._must(w, now), now))

    def start(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._change(
            "start", workload, deadline, lambda w, k, now: self._start(w, self._must(w, now), now)
        )

    def reboot(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._change(
            "reboot", workload, deadline, lambda w, k, now: self._reboot(w, self._must(w, now), now)
        )

    def watch(self, *, stop: threading.Event) -> Iterator[str]:
        now = time.time()
        with self.cloud.locked():
            position = self.cloud.position()
            objects = self.cloud.all()
        due = [(at, found.tag.instance_id) for found in objects if (at := found.due(now)) is not None]
        heapq.heapify(due)
        yield ""
        while not stop.is_set():
            while due and due[0][0] <= time.time():
                instance_id = heapq.heappop(due)[1]
                self._plan(due, instance_id)
                yield instance_id
            pause = min([0.1, due[0][0] - time.time()] if due else [0.1])
            position, changed = self.cloud.changes(position, max(0.0, pause))
            for instance_id in changed if changed is not None else [""]:
                self._plan(due, instance_id)
                yield instance_id

    # Within a call

    def _change(
        self,
        name: str,
        workload: base.Workload,
        deadline: float,
        do: Callable[[base.Workload, dict[str, str], float], fakecloud.Object],
    ) -> base.Observed:
        knobs = fakescript.knobs(workload.labels, workload.env)

        def change(now: float) -> base.Observed:
            seen = do(workload, knobs, now).observed(now)
            assert seen is not None  # what was just put is there
            return seen

        return self._call(name, workload.id, deadline, change, knobs=knobs)

    def _must(self, workload: base.Workload, now: float) -> fakecloud.Object:
        if (found := self._find(workload.id, now)) is None:
            raise base.NotFound("There is no such instance.")
        return found

    def _ensure(self, workload: base.Workload, knobs: dict[str, str], now: float) -> fakecloud.Object:
        if workload.image == "invalid":
            raise base.InvalidSpec("The image 'invalid' does not exist on the fake backend.")
        found = self._find(workload.id, now)
        if found is not None and found.phase(now) is Phase.DELETING:
            raise base.InProgress("It is being deleted.")
        if found is None:
            return self._create(workload, knobs, now)
        if found.tag.spec_hash != workload.spec_hash:
            if found.shape != fakecalls.shape(workload):
                return self._create(workload, knobs, now)
            self._resize(workload, knobs, found)
        if found.phase(now) is Phase.FAILED and workload.power == "running":
            return self._start(workload, found, now)
        if workload.power != found.power:
            return (
                self._stop(found, now) if workload.power == "stopped" else self._start(workload, found, now)
            )
        return self._reboot(workload, found, now) if workload.reboots > found.reboots else found

    def _create(self, workload: base.Workload, knobs: dict[str, str], now: float) -> fakecloud.Object:
        room, before = self.backend.conf.capacity, self.cloud.get(workload.id)
        if before is None and (self._cordoned() or (room is not None and len(self.cloud.all()) >= room)):
            raise base.NoCapacity
        tag = base.Tag(self.backend.owner, workload.tenant.id, workload.id, workload.spec_hash)
        found = fakecloud.Object(
            tag,
            [],
            power=workload.power,
            reboots=workload.reboots,
            vcpus=workload.vcpus,
            knobs=knobs,
            handle=f"fake-{workload.id}" if before is None else f"fake-{workload.id}-{workload.spec_hash}",
            shape=fakecalls.shape(workload),
            addresses=["198.51.100.7"] if workload.public_address else [],
            env=dict(workload.env),
        )
        if workload.power == "stopped":
            return self._move(found, [(now, Phase.CREATING), (now + self._delay(found), Phase.STOPPED)])
        return self._move(found, self._run(workload, found, Phase.CREATING, now))

    def _resize(self, workload: base.Workload, knobs: dict[str, str], found: fakecloud.Object) -> None:
        """It goes on as it is, with other amounts."""
        found.tag = dataclasses.replace(found.tag, spec_hash=workload.spec_hash)
        found.vcpus, found.knobs = workload.vcpus, knobs
        self._move(found, found.timeline)

    def _stop(self, found: fakecloud.Object, now: float) -> fakecloud.Object:
        found.power = "stopped"
        if found.phase(now) in (Phase.STOPPED, Phase.STOPPING):
            return found
        return self._move(found, [(now, Phase.STOPPING), (now + self._delay(found), Phase.STOPPED)])

    def _start(self, workload: base.Workload, found: fakecloud.Object, now: float) -> fakecloud.Object:
        found.power = "running"
        if found.phase(now) not in (Phase.STOPPED, Phase.STOPPING, Phase.EXITED, Phase.FAILED):
            return found
        return self._move(found, self._run(workload, found, Phase.STARTING, now))

    def _reboot(self, workload: base.Workload, found: fakecloud.Object, now: float) -> fakecloud.Object:
        if found.reboots >= workload.reboots:
            return found
        found.reboots = workload.reboots
        if found.power == "stopped":
            return self._move(found, found.timeline)
        return self._move(found, self._run(workload, found, Phase.REBOOTING, now))

    def _run(
        self, workload: base.Workload, found: fakecloud.Object, by: Phase, now: float
    ) -> fakecloud.Timeline:
        """How it comes to run by way of phase ``by``, and how it ends if it does so by itself."""
        running = now + self._delay(found)
        found.runs += 1
        timeline: fakecloud.Timeline = [(now, by), (running, Phase.RUNNING)]
        if "fake.exit" not in found.knobs:
            return timeline
        found.exit_code = int(found.knobs["fake.exit"])
        if workload.restart_policy == "always" or (
            workload.restart_policy == "on-failure" and found.exit_code
        ):
            # The backend starts it again, and this time it stays.
            found.restarts += 1
            return timeline
        return [*timeline, (running + float(found.knobs.get("fake.exit_after", "0")), Phase.EXITED)]

    def _delete(self, instance_id: str, now: float) -> bool:
        found = self._find(instance_id, now)
        if found is None:
            return True
        delay = self._delay(found)
        if not delay:
            self.cloud.drop(instance_id)
            return True
        if found.phase(now) is not Phase.DELETING:
            self._move(found, [(now, Phase.DELETING), (now + delay, None)])
        return False

    def _delay(self, found: fakecloud.Object) -> float:
        return float(found.knobs.get("fake.delay", self.backend.conf.delay))

    def _observe(self, ids: Sequence[str] | None, now: float) -> list[base.Observed]:
        if ids is None:
            objects = [found for found in self.cloud.all() if found.tag.owner == self.backend.owner]
        else:
            objects = [found for i in ids if (found := self._find(i, now))]
        return [seen for found in objects if (seen := found.observed(now))]

    def _plan(self, due: list[tuple[float, str]], instance_id: str) -> None:
        """Note in the heap ``due`` when the instance changes next by itself."""
        now = time.time()
        with self.cloud.locked():
            found = self.cloud.get(instance_id)
            at = found.due(now) if found else None
        if at is not None:
            heapq.heappush(due, (at, instance_id))
