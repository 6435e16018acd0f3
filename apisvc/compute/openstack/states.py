"""What each state of a server in Nova means to us: one table, read by the code and the docs."""

import dataclasses
from collections.abc import Iterator

from apisvc.compute import base

Phase = base.Phase


@dataclasses.dataclass(frozen=True)
class Row:
    """``start`` and ``stop``: the action of the SDK's compute proxy that leads to running and to rest.

    None: there is nothing to do, "" : nothing can be done now.
    """

    phase: Phase
    start: str | None
    stop: str | None
    why: str


_BUSY = ""

#: By ``status``. DELETED is not there at all: the server is gone.
STATES: dict[str, Row] = {
    "BUILD": Row(
        Phase.CREATING,
        _BUSY,
        _BUSY,
        "the cloud is making it; ``failed``, and made anew, after ``build_timeout``",
    ),
    "ACTIVE": Row(Phase.RUNNING, None, "stop_server", "it runs"),
    "SHUTOFF": Row(
        Phase.STOPPED,
        "start_server",
        None,
        "at rest; ``exited`` when nobody asked for that and its restart policy is not ``always``",
    ),
    "PAUSED": Row(Phase.STOPPED, "unpause_server", None, "somebody paused it; a start lets it go on"),
    "SUSPENDED": Row(Phase.STOPPED, "resume_server", None, "somebody suspended it; a start lets it go on"),
    "SHELVED": Row(Phase.STOPPED, "unshelve_server", None, "somebody shelved it; a start brings it back"),
    "SHELVED_OFFLOADED": Row(
        Phase.STOPPED, "unshelve_server", None, "shelved, and away from its host; a start brings it back"
    ),
    "RESCUE": Row(Phase.RUNNING, None, "unrescue_server", "an operator has booted it from another image"),
    "REBOOT": Row(Phase.REBOOTING, _BUSY, _BUSY, "the cloud is rebooting it"),
    "HARD_REBOOT": Row(Phase.REBOOTING, _BUSY, _BUSY, "the cloud is switching it off and on"),
    "PASSWORD": Row(Phase.RUNNING, None, _BUSY, "its password is being set"),
    "MIGRATING": Row(Phase.RUNNING, None, _BUSY, "it is being moved to another host, running"),
    "RESIZE": Row(Phase.CREATING, _BUSY, _BUSY, "it is being given another flavor, or moved at rest"),
    "VERIFY_RESIZE": Row(
        Phase.RUNNING, None, _BUSY, "it has another flavor, or host, and waits to be confirmed"
    ),
    "REVERT_RESIZE": Row(Phase.CREATING, _BUSY, _BUSY, "it goes back to its flavor before"),
    "REBUILD": Row(Phase.CREATING, _BUSY, _BUSY, "it is being given another image"),
    "ERROR": Row(Phase.FAILED, None, "stop_server", "the cloud gave up on it; its fault says why"),
    "SOFT_DELETED": Row(Phase.DELETING, _BUSY, _BUSY, "deleted, but kept by the cloud for a while"),
    "UNKNOWN": Row(Phase.UNKNOWN, _BUSY, _BUSY, "the part of the cloud that has it does not answer"),
}
#: The same state by its older or longer name.
ALIASES = {"RESCUED": "RESCUE"}

#: By ``task_state``, where that says more than ``status``.
TASKS: dict[str, Phase] = {
    "deleting": Phase.DELETING,
    "soft-deleting": Phase.DELETING,
    "powering-off": Phase.STOPPING,
    "pausing": Phase.STOPPING,
    "suspending": Phase.STOPPING,
    "shelving": Phase.STOPPING,
    "shelving_image_pending_upload": Phase.STOPPING,
    "shelving_image_uploading": Phase.STOPPING,
    "shelving_offloading": Phase.STOPPING,
    "powering-on": Phase.STARTING,
    "unpausing": Phase.STARTING,
    "resuming": Phase.STARTING,
    "unshelving": Phase.STARTING,
    "unrescuing": Phase.STARTING,
    "reboot_pending": Phase.REBOOTING,
    "reboot_started": Phase.REBOOTING,
    "rebooting": Phase.REBOOTING,
    "reboot_pending_hard": Phase.REBOOTING,
    "reboot_started_hard": Phase.REBOOTING,
    "rebooting_hard": Phase.REBOOTING,
}


def row(status: str | None) -> Row:
    """The row of a status; that of UNKNOWN for one that we do not know, that of BUILD when there is none yet."""
    name = (status or "BUILD").upper()
    return STATES.get(ALIASES.get(name, name), STATES["UNKNOWN"])


def phase(status: str | None, task: str | None) -> Phase | None:
    """None: the server is gone."""
    if (status or "").upper() == "DELETED":
        return None
    return TASKS.get(task or "") or row(status).phase


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """Status, phase, what a start does, what a stop does, and why; reStructuredText."""
    for status, found in STATES.items():
        also = "".join(f", ``{alias}``" for alias, name in ALIASES.items() if name == status)
        yield f"``{status}``{also}", f"``{found.phase}``", _verb(found.start), _verb(found.stop), found.why
    yield "``DELETED``", "gone", "", "", "the record that Nova keeps of it"
    for task, found_phase in TASKS.items():
        yield (
            f"any, task ``{task}``",
            f"``{found_phase}``",
            "waits",
            "waits",
            "the task says more than the status",
        )


def _verb(action: str | None) -> str:
    if action is None:
        return "nothing"
    return action.removesuffix("_server") if action else "waits"
