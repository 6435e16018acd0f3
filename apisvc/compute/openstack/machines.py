"""Making servers, changing them in place or anew, and taking them away: one step a call, each found again by looking."""

import logging
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import (
    connections,
    faults,
    names,
    networks,
    power,
    servers,
    shapes,
)

LOG = logging.getLogger(__name__)

Phase = base.Phase


class Machines:
    def __init__(
        self,
        owner: str,
        clouds: connections.Connections,
        found: servers.Servers,
        made_from: shapes.Shapes,
        nets: networks.Networks,
        switch: power.Power,
        conf: Any,
    ) -> None:
        self._owner = owner
        self._clouds = clouds
        self._servers = found
        self._shapes = made_from
        self._networks = nets
        self._power = switch
        self._conf = conf

    # Making

    def create(self, workload: base.Workload, place: networks.Place) -> base.Observed:
        """A new server; when another worker was faster, that one's."""
        wanted = self._shapes.request(workload, place, tags=self._servers.tagged)
        compute = self._clouds.project(place.project_id).compute
        if workload.ssh_key:
            wanted["key_name"] = self._key(workload)
        made = compute.create_server(**wanted)
        if workload.ssh_key:
            # The server has a copy; and a user's key pairs are few.
            compute.delete_keypair(names.server(workload.id))
        server = self._servers.find(workload.id) or made
        if server.id != made.id:
            LOG.info("Instance %s has server %s already.", workload.id, server.id)
        if server.metadata is None or names.INSTANCE not in server.metadata:
            server = self._clouds.home().compute.get_server(made.id)
        return self._servers.observed(server)

    def _key(self, workload: base.Workload) -> str:
        """The key pair to make the server with."""
        from openstack import exceptions

        compute, name = self._clouds.home().compute, names.server(workload.id)
        for _ in range(2):
            try:
                compute.create_keypair(name=name, public_key=workload.ssh_key)
                return name
            except exceptions.ConflictException:
                # Of a worker that died in between, or is at it right now with the same key.
                there = next((one for one in compute.keypairs() if one.name == name), None)
                if there is not None and there.public_key.split()[:2] == workload.ssh_key.split()[:2]:
                    return name
                compute.delete_keypair(name)
        raise base.InProgress("Another worker is making it.")

    # Changing

    def converge(self, workload: base.Workload, server: Any) -> base.Observed:
        """A server that is there, brought to its spec and power."""
        phase = self._servers.phase(server)
        if phase is Phase.DELETING:
            raise base.InProgress("It is being deleted.")
        same = (server.metadata or {}).get(names.SPEC) == workload.spec_hash
        if phase is Phase.FAILED:
            return self._retry(workload, server, same)
        if server.task_state is not None or phase in (Phase.CREATING, Phase.UNKNOWN):
            if same:
                return self._servers.observed(server)
            raise base.InProgress("The cloud is still busy with it.")
        if not same:
            self._respec(workload, server)
        if workload.power == "stopped":
            return self._power.stop(server)
        return self._run(workload, server, same)

    def _run(self, workload: base.Workload, server: Any, same: bool) -> base.Observed:
        phase = self._servers.phase(server)
        if phase is Phase.STOPPED or (phase is Phase.EXITED and not same):
            return self._power.start(server)
        seen = self._servers.observed(server)
        if workload.reboots > (seen.reboots or 0):
            return self._power.reboot(server, workload.reboots)
        return seen

    def _retry(self, workload: base.Workload, server: Any, same: bool) -> base.Observed:
        """The cloud gave up on it: what has run is switched off and on, what never did is made anew."""
        if servers.launched(server) and same:
            self._power.switch_off_and_on(server)
            raise base.InProgress("It is being switched off and on.")
        _, _, again = servers.failure(server)
        self.drop(server, workload.id)
        fault = server.fault or {}
        row = faults.of_server(fault.get("code"), str(fault.get("message") or ""))
        if again and row is not None:
            raise row.error(row.message)
        raise base.InProgress("It is made anew.")

    def _respec(self, workload: base.Workload, server: Any) -> None:
        """One step towards another spec; InProgress until it bears it."""
        self._shapes.check(workload)
        bears = server.metadata or {}
        rebuild = bears.get(names.IMAGE) != workload.image
        if bears.get(names.PARTS) != names.parts(workload) or (rebuild and self._conf.boot_from_volume):
            self._shapes.request(workload, networks.Place(server.project_id, None, ()), tags=False)
            self.drop(server, workload.id)
            raise base.InProgress("It is made anew.")
        flavor = self._shapes.flavor(workload)
        if rebuild:
            image = self._shapes.image(workload.image, server.project_id)
            metadata = {**bears, names.IMAGE: workload.image}
            self._clouds.home().compute.rebuild_server(server.id, image, metadata=metadata)
            raise base.InProgress("It is being given another image.")
        if server.status == "VERIFY_RESIZE":
            self._confirm(server)
            raise base.InProgress("It is being given another flavor.")
        if not self._shapes.same_flavor(server, flavor):
            self._resize(server, flavor)
        if workload.public_address:
            self._networks.publish(server, self._owner, workload.id)
        fresh = names.metadata(self._owner, workload)
        kept = (names.POWER, names.REBOOTS, names.REBOOTS_DONE)
        marks = {name: value for name, value in fresh.items() if name not in kept}
        self._servers.mark(server, **{**marks, names.RESIZE: "", names.SPEC: workload.spec_hash})

    def _confirm(self, server: Any) -> None:
        from openstack import exceptions

        try:
            self._clouds.home().compute.confirm_server_resize(server.id)
        except (exceptions.BadRequestException, exceptions.ConflictException):
            # It was confirmed before, and the cloud, which says nothing of that until it is done, is at it.
            LOG.debug("Server %s is being confirmed already.", server.id)

    def _resize(self, server: Any, flavor: Any) -> None:
        bears = server.metadata or {}
        if bears.get(names.RESIZE) == flavor.id:
            # It was asked for, and here it is at rest with the flavor of before.
            self._servers.mark(server, **{names.RESIZE: ""})
            raise base.NoCapacity(
                "The cloud could not give it the other flavor; perhaps no host has the room."
            )
        self._servers.mark(server, **{names.RESIZE: flavor.id})
        self._clouds.home().compute.resize_server(server.id, flavor.id)
        raise base.InProgress("It is being given another flavor.")

    # Taking away

    def drop(self, server: Any, instance_id: str) -> None:
        """Ask for the end of one server and of what we gave it."""
        if (server.metadata or {}).get(names.PUBLIC):
            self._networks.unpublish(self._owner, instance_id, server.project_id)
        if (server.metadata or {}).get(names.VOLUMES) and not servers.launched(server):
            self._drop_volumes(server)
        self._servers.drop(server)

    def _drop_volumes(self, server: Any) -> None:
        """Those of a server that was never made: Nova forgets what Cinder was still making when it gave up.

        :raises Unavailable: Cinder is still at it, and deletes nothing that it is making.
        """
        cinder = self._clouds.home().block_storage
        mine = {"all_projects": True, "project_id": server.project_id, "name": names.volume(server.id)}
        for volume in cinder.volumes(**mine):
            if volume.status == "creating":
                raise base.Unavailable("The cloud does not finish making a volume of it.")
            if volume.status in ("available", "error"):
                cinder.delete_volume(volume.id)

    def delete(self, instance_id: str) -> bool:
        """True when no server is left of the instance."""
        found = self._servers.every(instance_id)
        for server in found:
            ends = self._servers.phase(server) is Phase.DELETING and server.status != "SOFT_DELETED"
            if not ends or self._servers.forgotten(server):
                self.drop(server, instance_id)
        if not found:
            self._drop_key(names.server(instance_id))
        return not found

    def _drop_key(self, name: str) -> None:
        """The key pair of a worker that died before the server was made. There are few at any time."""
        compute = self._clouds.home().compute
        if any(pair.name == name for pair in compute.keypairs()):
            compute.delete_keypair(name)
