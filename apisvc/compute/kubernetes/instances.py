"""Instances on one cluster: looking for them, making them, and carrying on what is wished of them.

API calls in the life of a pod, with a watch on: one apply, one delete, and one
that clears away its Secrets; one more apply if it has secret variables. All
looks in between are answered from the cache.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from apisvc.compute import base
from apisvc.compute.kubernetes import (
    anchors,
    cache,
    client,
    manifests,
    naming,
    objects,
    options,
    seen,
    sight,
    watching,
)

LOG = logging.getLogger(__name__)
Phase = base.Phase

#: Ids in one selector.
IDS = 50
#: Steps towards a wish that one look takes.
STEPS = 4


class Instances:
    def __init__(
        self,
        api: client.Client,
        known: cache.Cache,
        names: naming.Naming,
        settings: options.Settings,
        doubt_tenant: Callable[[str], None],
    ) -> None:
        """``doubt_tenant``: told the id of a tenant whose namespace was found missing or going."""
        self._api = api
        self._cache = known
        self._names = names
        self._settings = settings
        self._doubt_tenant = doubt_tenant
        #: instance id -> uid of the pod that we have ordered to be deleted.
        self._ordered: dict[str, str] = {}

    # Looking

    def find(self, instance_id: str, deadline: float) -> sight.Sight:
        """What there is of the instance. Nothing is nothing: the API server has said so."""
        if not self._names.known(instance_id):
            return sight.Sight()
        if self._cache.current() and (found := self._cache.of(instance_id)):
            return found
        return self._really(instance_id, deadline)

    def known(self, instance_id: str) -> sight.Sight | None:
        """What the watch knows of it, which may be nothing; None when there is no watch that is current."""
        return self._cache.of(instance_id) if self._cache.current() else None

    def ask(self, ids: Sequence[str], deadline: float) -> dict[str, sight.Sight]:
        """What the API server itself says of these instances."""
        found: dict[str, sight.Sight] = {}
        for start in range(0, len(ids), IDS):
            some = ids[start : start + IDS]
            found.update(self._select(self._names.of_instances(some), deadline))
        return found

    def all(self, deadline: float) -> dict[str, sight.Sight]:
        """All instances of this deployment, as the API server itself says."""
        return self._select(self._names.ours(), deadline)

    def observe(self, ids: Sequence[str] | None, deadline: float) -> list[base.Observed]:
        if ids is None:
            sights = self.all(deadline)
        else:
            wanted = [one for one in dict.fromkeys(ids) if self._names.known(one)]
            current = self._cache.current()
            sights = {one: self._cache.of(one) for one in wanted} if current else {}
            missing = [one for one in wanted if not sights.get(one)]
            sights.update(self.ask(missing, deadline) if missing else {})
        carried = (self.carry_on(found, deadline) if found else found for found in sights.values())
        return [observed for found in carried if (observed := found.observed())]

    def _select(self, selector: str, deadline: float) -> dict[str, sight.Sight]:
        """Pods and anchors by labels, so that no instance is missed that is there all the time.

        An anchor comes before its pod goes, and goes after its next pod has
        come: anchors are listed before and after the pods.
        """
        before = self._anchors(selector, deadline)
        found, _ = self._api.listed(watching.PODS, objects.PodList, deadline=deadline, labelSelector=selector)
        pods = [self._enter(seen.pod(one, self._names)) for one in found]
        after = {one.uid: one for one in self._anchors(selector, deadline)}
        have_pods = {one.instance_id for one in pods}
        # One that was only there before is of an instance on its way: to its pod, or to its end.
        for one in before:
            if one.uid not in after and one.instance_id not in have_pods:
                after[one.uid] = one
        return {_id(one): one for one in cache.grouped(pods, after.values())}

    def _anchors(self, selector: str, deadline: float) -> list[anchors.Anchor]:
        found, _ = self._api.listed(
            watching.ANCHORS, objects.ConfigMapList, deadline=deadline, labelSelector=selector
        )
        return [anchors.read(one, self._names) for one in found]

    def _enter(self, pod: seen.Pod) -> seen.Pod:
        self._cache.put(pod)
        return pod

    # Making

    def create(self, workload: base.Workload, deadline: float) -> sight.Sight:
        """Make its pod; the first of all calls for most instances."""
        pod = manifests.pod(workload, self._settings, self._names)
        self._parts(workload, deadline)
        return sight.Sight(self.apply_pod(pod, workload.tenant.id, deadline))

    def apply_pod(self, pod: dict[str, Any], tenant_id: str, deadline: float) -> seen.Pod:
        """:raises InProgress: one of that name is on its way out, or the namespace is not there."""
        meta = pod["metadata"]
        path = self._names.core(meta["namespace"], "pods", meta["name"])
        found = self._in_namespace(
            tenant_id, lambda: self._api.apply(path, pod, objects.Pod, deadline=deadline)
        )
        made = self._enter(seen.pod(found, self._names))
        if made.terminating:
            raise base.InProgress("An earlier pod of it is still ending.")
        return made

    def validate(self, workload: base.Workload, deadline: float) -> dict[str, Any]:
        """The manifest of its pod, which the API server would take: asked before what runs is touched.

        :raises InvalidSpec: it would not.
        """
        pod = manifests.pod(workload, self._settings, self._names)
        trial = {**pod, "metadata": {**pod["metadata"], "name": f"{pod['metadata']['name']}-dry"}}
        # Not ours, so that no list of ours ever shows it.
        trial["metadata"]["labels"] = {naming.PART: "trial"}
        path = self._names.pods(pod["metadata"]["namespace"])
        try:
            self._in_namespace(
                workload.tenant.id,
                lambda: self._api.post(path, trial, objects.Bare, deadline=deadline, dryRun="All"),
            )
        except base.NoCapacity:
            LOG.debug("%s: the pod to be replaced still counts in the quota", workload.id)
        return pod

    def _parts(self, workload: base.Workload, deadline: float) -> None:
        """What the pod needs to be there before it."""
        parts = [("persistentvolumeclaims", claim) for claim in self._claims(workload)]
        if workload.secret_env:
            parts.append(("secrets", manifests.secret(workload, self._names)))
        for collection, part in parts:
            meta = part["metadata"]
            path = self._names.core(meta["namespace"], collection, meta["name"])
            self._in_namespace(
                workload.tenant.id,
                lambda path=path, part=part: self._api.apply(  # type: ignore[misc]
                    path, part, objects.Bare, deadline=deadline
                ),
            )

    def _claims(self, workload: base.Workload) -> list[dict[str, Any]]:
        return manifests.volumes(workload, self._settings, self._names)

    def _in_namespace(self, tenant_id: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except base.InProgress:
            self._doubt_tenant(tenant_id)
            raise

    # Wishes

    def wish(
        self,
        workload: base.Workload,
        found: sight.Sight,
        deadline: float,
        *,
        power: str,
        phase: Phase = Phase.STARTING,
        reason: str = "",
    ) -> sight.Sight:
        """Write down that it shall rest, or be made (again) in place of the pod that is there; then carry on."""
        replaces = found.pod.uid if found.pod else ""
        pod = None
        if power == "running":
            pod = self.validate(workload, deadline)
            self._parts(workload, deadline)
        body = anchors.manifest(
            self._names.tag_of(workload),
            self._names,
            power=power,
            reboots=workload.reboots,
            volumes=bool(workload.volumes),
            phase=phase,
            replaces=replaces,
            pod=pod,
            reason=reason,
        )
        meta = body["metadata"]
        path = self._names.core(meta["namespace"], "configmaps", meta["name"])
        made = self._in_namespace(
            workload.tenant.id, lambda: self._api.apply(path, body, objects.ConfigMap, deadline=deadline)
        )
        anchor = anchors.read(made, self._names)
        self._cache.put(anchor)
        return self.carry_on(dataclasses.replace(found, anchor=anchor), deadline)

    def carry_on(self, found: sight.Sight, deadline: float) -> sight.Sight:
        """Take the steps that a wish written down still needs; what there is then.

        What goes wrong with it is no error of a look: the next one tries again.
        """
        for _ in range(STEPS):
            step = found.next()
            if step is sight.Next.NOTHING:
                break
            try:
                found = self._step(step, found, deadline)
            except base.DriverError as error:
                LOG.info("Instance %s: to %s: %s", _id(found), step.value, error.message)
                return dataclasses.replace(found, trouble=error)
        return found

    def _step(self, step: sight.Next, found: sight.Sight, deadline: float) -> sight.Sight:
        pod, anchor = found.pod, found.anchor
        if step is sight.Next.DELETE_POD:
            assert pod is not None
            return dataclasses.replace(found, pod=self.delete_pod(pod, deadline))
        assert anchor is not None
        if step is sight.Next.CREATE_POD:
            manifest = json.loads(anchor.manifest)
            return dataclasses.replace(found, pod=self.apply_pod(manifest, anchor.tag.tenant_id, deadline))
        self.delete_anchor(anchor, deadline)
        return dataclasses.replace(found, anchor=None)

    # Taking away

    def delete(self, instance_id: str, tenant_id: str, deadline: float) -> bool:
        if not self._names.known(instance_id):
            return True
        current = self._cache.current()
        found = self._cache.of(instance_id) if current else sight.Sight()
        last = self._cache.ended(self._ordered.get(instance_id, "")) if current else None
        proven = last is not None and not found
        if not found and not proven:
            found, proven = self._really(instance_id, deadline), True
        if found.anchor:
            self.delete_anchor(found.anchor, deadline, only_this=False)
        if found.pod:
            if not found.pod.terminating:
                self.delete_pod(found.pod, deadline)
            self._remember(instance_id, found.pod.uid)
            return False
        if not proven and self._really(instance_id, deadline):
            return False
        self.clear_parts(instance_id, tenant_id, deadline, volumes=last is None or last.volumes)
        self._ordered.pop(instance_id, None)
        return True

    def _really(self, instance_id: str, deadline: float) -> sight.Sight:
        return self.ask([instance_id], deadline).get(instance_id, sight.Sight())

    def _remember(self, instance_id: str, uid: str) -> None:
        self._ordered[instance_id] = uid
        if len(self._ordered) > cache.GRAVES:  # other workers have seen their end
            self._ordered.pop(next(iter(self._ordered)), None)

    def delete_pod(self, pod: seen.Pod, deadline: float) -> seen.Pod | None:
        """Order its end; the pod as it ends, or None when it is gone already."""
        path = self._names.core(pod.namespace, "pods", pod.name)
        answer = self._api.delete(path, uid=pod.uid, deadline=deadline)
        if answer is None:
            return None
        try:
            version = seen.version(msgspec.json.decode(answer, type=objects.Bare).metadata.resource_version)
        except msgspec.MsgspecError:
            version = 0
        return self._cache.mark_terminating(dataclasses.replace(pod, version=max(pod.version, version)))

    def delete_anchor(self, anchor: anchors.Anchor, deadline: float, *, only_this: bool = True) -> None:
        """``only_this``: if it says the same as when it was seen."""
        path = self._names.core(anchor.namespace, "configmaps", anchor.name)
        version = str(anchor.version) if only_this else None
        answer = self._api.delete(path, uid=anchor.uid, version=version, deadline=deadline)
        if answer is not None:
            self._cache.bury(anchor)

    def clear_parts(self, instance_id: str, tenant_id: str, deadline: float, *, volumes: bool) -> None:
        """Its Secrets, of whatever spec, and its volumes."""
        try:
            namespace = self._names.namespace(tenant_id)
        except base.InvalidSpec:
            return  # a tenant that never had anything here
        selector = self._names.of_instances([instance_id])
        for collection in ("secrets", "persistentvolumeclaims") if volumes else ("secrets",):
            self._api.delete_all(self._names.core(namespace, collection), selector, deadline=deadline)


def _id(found: sight.Sight) -> str:
    part = found.pod or found.anchor
    assert part is not None
    return part.instance_id
