"""Starting, stopping and rebooting a server, each step safe to repeat.

What was asked for is written on the server before the cloud is asked, so that
a server at rest tells whether we wanted it so, and a reboot whose answer was
lost is not repeated: the cloud's own record of actions says whether it came.
"""

import dataclasses
import time
from typing import Any

from apisvc.compute import base
from apisvc.compute.openstack import connections, names, servers, states

Phase = base.Phase


class Power:
    def __init__(self, clouds: connections.Connections, found: servers.Servers) -> None:
        self._clouds = clouds
        self._servers = found

    def stop(self, server: Any) -> base.Observed:
        """Bring it to rest; at rest already: only say that it is wanted so."""
        verb = states.row(server.status).stop
        if self._servers.phase(server) is Phase.STOPPING:
            return self._servers.observed(server)
        self._free(server, verb)
        if not (verb and server.status == "ERROR"):  # which takes no metadata
            self._servers.mark(server, **{names.POWER: "stopped"})
        return self._do(server, verb, Phase.STOPPING)

    def start(self, server: Any, *, reboots: int | None = None) -> base.Observed:
        """Run it again from rest. ``reboots``: it counts as that reboot."""
        phase, verb = self._servers.phase(server), states.row(server.status).start
        if phase is Phase.STARTING or (verb is None and server.task_state is None and reboots is None):
            return self._servers.observed(server)
        self._free(server, verb)
        bears = server.metadata or {}
        by_itself = server.status == "SHUTOFF" and bears.get(names.POWER) != "stopped"
        marks = {names.POWER: "running", names.STARTED: _now()}
        if by_itself and reboots is None:
            marks[names.RESTARTS] = str(names.number(bears, names.RESTARTS) + 1)
        if reboots is not None:
            marks |= {names.REBOOTS: str(reboots), names.REBOOTS_DONE: str(reboots)}
        self._servers.mark(server, **marks)
        return self._do(server, verb, Phase.STARTING)

    def reboot(self, server: Any, number: int) -> base.Observed:
        """Reboot ``number``, once: softly if it runs; what rests is started, what failed is switched off and on."""
        seen = self._servers.observed(server)
        if (seen.reboots or 0) >= number or seen.phase is Phase.REBOOTING:
            return seen
        if seen.phase in (Phase.STOPPED, Phase.EXITED):
            return self.start(server, reboots=number)
        if server.status == "ERROR":
            self.switch_off_and_on(server)
            return dataclasses.replace(seen, phase=Phase.REBOOTING, reboots=number)
        self._free(server, "reboot_server" if server.status in ("ACTIVE", "RESCUE") else "")
        if names.number(server.metadata, names.REBOOTS) != number:
            before = self._servers.reboots_accepted(server)
            marks = {names.REBOOTS: number, names.REBOOTS_BEFORE: before, names.STARTED: _now()}
            self._servers.mark(server, **{name: str(value) for name, value in marks.items()})
        self._softly_or_hard(server)
        return dataclasses.replace(seen, phase=Phase.REBOOTING, reboots=number)

    def switch_off_and_on(self, server: Any) -> None:
        self._clouds.home().compute.reboot_server(server.id, "HARD")

    def _softly_or_hard(self, server: Any) -> None:
        from openstack import exceptions

        try:
            self._clouds.home().compute.reboot_server(server.id, "SOFT")
        except exceptions.ConflictException:
            # Busy, or in a state that only being switched off and on leads out of.
            now = self._servers.reload(server)
            if now is None or now.task_state is not None:
                raise
            self.switch_off_and_on(server)

    def _do(self, server: Any, verb: str | None, phase: Phase) -> base.Observed:
        if verb is None:
            return self._servers.observed(server)
        getattr(self._clouds.home().compute, verb)(server.id)
        return dataclasses.replace(self._servers.observed(server), phase=phase)

    @staticmethod
    def _free(server: Any, verb: str | None) -> None:
        if server.task_state is not None or verb == "":
            raise base.InProgress("The cloud is still busy with it.")


def _now() -> str:
    return f"{time.time():.3f}"
