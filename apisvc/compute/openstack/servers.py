"""Servers of ours: finding them, telling how they are, and that there is only one for each instance.

Nova's names are not unique and its create is not idempotent, so a lost answer
or two workers at once can make two servers for an instance. Whoever sees both
keeps the elder and deletes the younger: all see the same order, so one stays.
"""

import dataclasses
import datetime
import logging
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, faults, names, networks, projects, states

LOG = logging.getLogger(__name__)

Phase = base.Phase
#: Nova's API with tags at the creation of a server.
_TAGS = "2.52"
#: Phases in which it runs, or ran until it ended by itself.
_RAN = (Phase.RUNNING, Phase.REBOOTING, Phase.EXITED)


class Servers:
    def __init__(
        self,
        owner: str,
        clouds: connections.Connections,
        tenants: projects.Projects,
        conf: Any,
    ) -> None:
        self._owner = owner
        self._conf = conf
        self._clouds = clouds
        self._projects = tenants

    @property
    def tagged(self) -> bool:
        """Whether the cloud knows tags of servers."""
        from openstack import utils

        return bool(utils.supports_microversion(self._clouds.home().compute, _TAGS))

    # Finding

    def all(self) -> list[Any]:
        """Every server of ours, one for each instance."""
        query = {"tags": names.owner_tag(self._owner)} if self.tagged else {}
        return self._unique(self._list(**query))

    def find(self, instance_id: str) -> Any:
        """The server of an instance, or None."""
        return next(iter(self._unique(self.every(instance_id))), None)

    def every(self, instance_id: str) -> list[Any]:
        """All servers of an instance, also those that are being deleted; the elder first."""
        if not names.is_id(instance_id):
            return []
        query = {"name": f"^{re.escape(names.server(instance_id))}$"}
        if self.tagged:  # also finds one that was adopted and bears another name
            query = {"tags": names.instance_tag(instance_id)}
        return [one for one in self._list(**query) if (one.metadata or {}).get(names.INSTANCE) == instance_id]

    def reload(self, server: Any) -> Any:
        """The server as it is now, or None."""
        from openstack import exceptions

        try:
            found = self._clouds.home().compute.get_server(server.id)
        except exceptions.NotFoundException:
            return None
        return found if states.phase(found.status, found.task_state) is not None else None

    def strangers(self) -> list[Any]:
        """Servers that no deployment of apisvc owns."""
        found = self._clouds.home().compute.servers(all_projects=not self._clouds.shared)
        return [one for one in _complete(found) if names.OWNER not in (one.metadata or {})]

    def _list(self, **query: Any) -> list[Any]:
        """Those of ours that ``query`` finds; all of them, or an error."""
        scope = {} if self._clouds.shared else {"all_projects": True}
        found = [
            one
            for one in _complete(self._clouds.home().compute.servers(**scope, **query))
            if (one.metadata or {}).get(names.OWNER) == self._owner
            and states.phase(one.status, one.task_state) is not None
        ]
        self._projects.learn({one.project_id for one in found})
        return networks.elder(
            one for one in found if self._projects.holds(one.project_id, one.metadata.get(names.TENANT, ""))
        )

    def forgotten(self, server: Any) -> bool:
        """Whether it is being deleted for too long: the message to the host was lost, as in :meth:`_given_up`."""
        return server.task_state == "deleting" and _over(server.updated_at, self._conf.delete_timeout)

    def drop(self, server: Any) -> None:
        """Ask for its end."""
        compute = self._clouds.home().compute
        if self.forgotten(server):
            # While Nova believes that it is at it, it takes no notice of another request.
            LOG.warning("Server %s is deleted again; the cloud has forgotten that it was asked.", server.id)
            compute.reset_server_state(server.id, "error")
        compute.delete_server(server.id, force=server.status == "SOFT_DELETED")

    def _unique(self, found: Iterable[Any]) -> list[Any]:
        """Of each instance the eldest that is not being deleted; its twins are."""
        by_instance: dict[str, list[Any]] = {}
        for one in found:
            by_instance.setdefault(one.metadata[names.INSTANCE], []).append(one)
        return [self._one(servers) for servers in by_instance.values()]

    def _one(self, servers: list[Any]) -> Any:
        alive = [one for one in servers if states.phase(one.status, one.task_state) is not Phase.DELETING]
        for twin in alive[1:]:
            self._drop(twin)
        return (alive or servers)[0]

    def _drop(self, twin: Any) -> None:
        LOG.warning("Deleting server %s: a twin of instance %s.", twin.id, twin.metadata[names.INSTANCE])
        try:
            self._clouds.home().compute.delete_server(twin.id)
        except Exception as error:  # whoever sees it next tries again
            if faults.translated(error) is None:
                raise
            LOG.warning("The twin %s stays for now.", twin.id)

    # Telling

    def observed(self, server: Any) -> base.Observed:
        """The server in the contract's words."""
        bears = server.metadata or {}
        tag = names.tag(bears)
        assert tag is not None  # only what is ours comes here
        phase = self.phase(server)
        reason, message = "", ""
        if phase is Phase.FAILED:
            reason, message, again = failure(server)
            if again:
                # Of no spec, so it is ensured again: it never came to be, for a reason that passes.
                tag = dataclasses.replace(tag, spec_hash="")
        elif server.status not in ("ACTIVE", "SHUTOFF", "BUILD", None):
            reason, message = _word(server.status), states.row(server.status).why.capitalize() + "."
        return base.Observed(
            tag=tag,
            phase=phase,
            handle=server.id,
            node=server.hypervisor_hostname,
            addresses=addresses(server),
            started_at=started(server) if phase in _RAN else None,
            finished_at=_instant(server.updated_at) if phase is Phase.EXITED else None,
            restarts=names.number(bears, names.RESTARTS),
            reboots=self.reboots(server),
            reason=reason,
            message=message,
        )

    def phase(self, server: Any) -> Phase:
        bears = server.metadata or {}
        phase = states.phase(server.status, server.task_state) or Phase.DELETING
        if phase is Phase.CREATING and self._given_up(server):
            return Phase.FAILED
        rests = phase is Phase.STOPPED and server.status == "SHUTOFF"
        if rests and bears.get(names.POWER) != "stopped" and bears.get(names.RESTART, "always") != "always":
            return Phase.EXITED
        return phase

    def _given_up(self, server: Any) -> bool:
        """Whether it is being made for too long: Nova never comes back to one whose message its broker has lost."""
        if server.status != "BUILD" or launched(server):
            return False
        return _over(server.created_at, self._conf.build_timeout)

    def reboots(self, server: Any) -> int:
        """How many reboots of ours it has done: those that the cloud is known to have accepted."""
        bears = server.metadata or {}
        done, asked = names.number(bears, names.REBOOTS_DONE), names.number(bears, names.REBOOTS)
        if asked <= done or self.reboots_accepted(server) <= names.number(bears, names.REBOOTS_BEFORE):
            return done
        if server.task_state is None:  # a busy server takes no metadata
            try:
                self.mark(server, **{names.REBOOTS_DONE: str(asked)})
            except base.InProgress:
                LOG.debug("Server %s became busy; its reboot is counted later.", server.id)
        return asked

    def reboots_accepted(self, server: Any) -> int:
        """How many reboots the cloud has accepted for it, from anybody."""
        actions = self._clouds.home().compute.server_actions(server.id)
        return sum(action.action == "reboot" for action in actions)

    def mark(self, server: Any, **changes: str) -> None:
        """Change the metadata where it differs; InProgress while the server is busy."""
        from openstack import exceptions

        bears = server.metadata or {}
        wanted = {name: value for name, value in changes.items() if bears.get(name) != value}
        if not wanted:
            return
        try:
            self._clouds.home().compute.set_server_metadata(server.id, **wanted)
        except exceptions.ConflictException as error:
            raise base.InProgress("The cloud is still busy with it.") from error
        server.metadata = {**bears, **wanted}


def failure(server: Any) -> tuple[str, str, bool]:
    """Of a server that the cloud or we gave up on: a word, a sentence for tenants, and whether making it again can help."""
    if server.status == "BUILD":
        return "BuildTimeout", "The cloud did not finish making it in time.", True
    fault = server.fault or {}
    text = str(fault.get("message") or "")
    row = faults.of_server(fault.get("code"), text)
    if row is None:
        return "Failed", f"The cloud gave up on it: {faults.clean(text) or 'it does not say why.'}", False
    message = row.message.replace(": {detail}", ".")
    return row.reason, message, row.error.retryable and not launched(server)


def launched(server: Any) -> bool:
    """Whether it ever ran."""
    return server.launched_at is not None


def addresses(server: Any) -> Sequence[str]:
    """Fixed ones first, then floating ones."""
    found = [one for nics in (server.addresses or {}).values() for one in nics]
    return tuple(
        one["addr"] for one in sorted(found, key=lambda one: one.get("OS-EXT-IPS:type") == "floating")
    )


def started(server: Any) -> float | None:
    """When it last began to run, as far as we know."""
    first = _instant(server.launched_at)
    text = (server.metadata or {}).get(names.STARTED, "")
    try:
        return max(first or 0.0, float(text))
    except ValueError:
        return first


def _complete(found: Iterable[Any]) -> list[Any]:
    """The list, if every part of the cloud answered; a cell that is down leaves records without metadata."""
    servers = list(found)
    if any(one.metadata is None for one in servers):
        raise base.Unavailable("A part of the cloud does not answer, so its servers cannot all be listed.")
    return servers


def _over(since: str | None, seconds: float) -> bool:
    """Whether so much time has gone by since that moment; never of 0 seconds."""
    began = _instant(since)
    return bool(seconds) and began is not None and time.time() - began > seconds


def _instant(text: str | None) -> float | None:
    if not text:
        return None
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _word(status: str) -> str:
    return "".join(part.capitalize() for part in status.split("_"))
