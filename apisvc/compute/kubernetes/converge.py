"""From what is there to what a workload asks for: the driver's ensure, stop, start and reboot."""

import dataclasses

from apisvc.compute import base
from apisvc.compute.kubernetes import instances, manifests, naming, options, seen, sight

Phase = base.Phase


class Converger:
    def __init__(self, on: instances.Instances, names: naming.Naming, settings: options.Settings) -> None:
        self._on = on
        self._names = names
        self._settings = settings

    def ensure(self, workload: base.Workload, deadline: float) -> base.Observed:
        self._names.pod(workload.id)  # an id that cannot be a name is an invalid spec
        # PERF: what a current watch does not know of is applied at once. If others have made it in this moment,
        # the API server takes ours for theirs, or refuses to change it.
        found = self._on.known(workload.id)
        if found is None:
            found = self._on.find(workload.id, deadline)
        if not found:
            found = self._make(workload, deadline)
        elif found.anchor:
            found = self._steer(workload, found, deadline)
        elif found.pod:
            found = self._converge(workload, found, found.pod, deadline)
        return _told(found)

    def stop(self, workload: base.Workload, deadline: float) -> base.Observed:
        found = self._must(workload, deadline)
        pod = found.pod
        if found.anchor is None and pod and pod.terminating:
            raise base.InProgress("It is being deleted.")
        rests = found.anchor is None and pod is not None and pod.observed.phase is Phase.EXITED
        if rests or (found.anchor and found.anchor.power == "stopped"):
            return _told(self._on.carry_on(found, deadline))
        return _told(self._on.wish(workload, found, deadline, power="stopped"))

    def start(self, workload: base.Workload, deadline: float) -> base.Observed:
        found = self._must(workload, deadline)
        if found.anchor:
            if found.anchor.power == "running":
                return _told(self._on.carry_on(found, deadline))
        elif found.pod:
            if found.pod.terminating:
                raise base.InProgress("It is being deleted.")
            if not found.pod.at_rest:
                return _told(found)
        return _told(self._on.wish(workload, found, deadline, power="running"))

    def reboot(self, workload: base.Workload, deadline: float) -> base.Observed:
        found = self._must(workload, deadline)
        if found.anchor:
            return _told(self._steer(workload, found, deadline))
        assert found.pod is not None
        if found.pod.terminating:
            raise base.InProgress("It is being deleted.")
        if found.pod.reboots >= workload.reboots:
            return _told(found)
        return _told(self._on.wish(workload, found, deadline, power="running", phase=Phase.REBOOTING))

    def _must(self, workload: base.Workload, deadline: float) -> sight.Sight:
        found = self._on.find(workload.id, deadline)
        if not found:
            raise base.NotFound("There is no such instance.")
        return found

    def _make(self, workload: base.Workload, deadline: float) -> sight.Sight:
        """There is nothing of it, as far as is known."""
        if workload.power == "stopped":
            self._on.validate(workload, deadline)
            return self._on.wish(workload, sight.Sight(), deadline, power="stopped")
        try:
            return self._on.create(workload, deadline)
        except base.InvalidSpec:
            # Invalid, or an order to change a pod that others have made in this moment.
            found = self._on.ask([workload.id], deadline).get(workload.id)
            if found and found.pod and not found.anchor:
                return self._converge(workload, found, found.pod, deadline)
            if not found:
                self._on.clear_parts(
                    workload.id, workload.tenant.id, deadline, volumes=bool(workload.volumes)
                )
            raise

    def _steer(self, workload: base.Workload, found: sight.Sight, deadline: float) -> sight.Sight:
        """It is at rest or on its way to run: see that it is the way that is asked for now."""
        anchor = found.anchor
        assert anchor is not None
        same = (
            anchor.power == workload.power
            and anchor.tag.spec_hash == workload.spec_hash
            and anchor.reboots >= workload.reboots
        )
        if same and not (found.pod and found.next() is sight.Next.DROP_ANCHOR):
            return self._on.carry_on(found, deadline)
        if same:
            found = self._on.carry_on(found, deadline)
            return found if found.pod is None else self._converge(workload, found, found.pod, deadline)
        phase = Phase.REBOOTING if workload.reboots > anchor.reboots else Phase.STARTING
        return self._on.wish(workload, found, deadline, power=workload.power, phase=phase)

    def _converge(
        self, workload: base.Workload, found: sight.Sight, pod: seen.Pod, deadline: float
    ) -> sight.Sight:
        """It has a pod, and nothing is wished of it yet."""
        if pod.terminating:
            raise base.InProgress("It is being deleted.")
        same = pod.observed.tag.spec_hash == workload.spec_hash
        if workload.power == "stopped":
            if same and pod.at_rest:
                return found
            return self._on.wish(workload, found, deadline, power="stopped")
        if not same:
            return self._change(workload, found, pod, deadline)
        if pod.observed.phase is Phase.FAILED:
            return self._on.wish(workload, found, deadline, power="running")
        if workload.reboots > pod.reboots:
            return self._on.wish(workload, found, deadline, power="running", phase=Phase.REBOOTING)
        return found

    def _change(
        self, workload: base.Workload, found: sight.Sight, pod: seen.Pod, deadline: float
    ) -> sight.Sight:
        """Its pod is of another spec, or somebody has edited it."""
        manifest = manifests.pod(workload, self._settings, self._names)
        mine = pod.pod_hash == manifest["metadata"]["annotations"][naming.POD_HASH]
        where = (pod.namespace, pod.name)
        if (
            mine
            and not pod.at_rest
            and where == (manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        ):
            # Only what describes it differs, or what somebody has edited: both go in place.
            made = self._on.apply_pod(manifest, workload.tenant.id, deadline)
            return dataclasses.replace(found, pod=made)
        return self._on.wish(
            workload, found, deadline, power="running", phase=Phase.CREATING, reason=sight.RECREATED
        )


def _told(found: sight.Sight) -> base.Observed:
    observed = found.observed()
    if observed is None:
        raise base.InProgress("It went away in this moment.")
    return observed
