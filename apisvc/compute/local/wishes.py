"""Wishes and states: what the driver writes for a supervisor, and what it makes of the answer. No I/O but looking for a program."""

import os
import shutil
import socket
from collections.abc import Mapping
from typing import Any

from apisvc.compute import base
from apisvc.compute.local import supervisor

#: ``wish.json`` or ``state.json`` as read.
Record = Mapping[str, Any]
Phase = base.Phase

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def of(workload: base.Workload, folder: str, *, grace: float, log_bytes: int) -> Record:
    """The wish for ``workload`` but for the number of its run. InvalidSpec when it cannot run here."""
    work = os.path.join(folder, "work")
    env = {
        "PATH": _PATH,
        "HOME": work,
        "TMPDIR": work,
        **workload.env,
        **workload.secret_env,
        "APISVC_INSTANCE_ID": workload.id,
        "APISVC_INSTANCE_NAME": workload.name,
    }
    return {
        "argv": _argv(workload, env),
        "env": env,
        "spec_hash": workload.spec_hash,
        "power": workload.power,
        "reboots": workload.reboots,
        "policy": workload.restart_policy,
        "vcpus": workload.vcpus,
        "ram_mb": workload.ram_mb,
        "disk_gb": workload.disk_gb,
        "grace": grace,
        "log_bytes": log_bytes,
    }


def converge(old: Record, wanted: Record, state: Record | None) -> Record:
    """``wanted``, with another run if what runs now is not what it asks for."""
    if old.get("deleted"):
        raise base.InProgress("It is being deleted.")
    moved = (
        wanted["spec_hash"] != old["spec_hash"]
        or wanted["reboots"] > old["reboots"]
        or (wanted["power"] == "running" and old["power"] == "stopped")
        or (settled(old, state) and state is not None and state["phase"] == "failed")
    )
    return {**wanted, "reboots": max(wanted["reboots"], old["reboots"]), "run": old["run"] + moved}


def _argv(workload: base.Workload, env: Mapping[str, str]) -> list[str]:
    command = list(workload.command) or ([] if workload.image == "host" else [workload.image])
    if not command or not command[0]:
        raise base.InvalidSpec(
            "There is nothing to run: the image is the host itself, and no command is given."
        )
    argv = [*command, *workload.args]
    if any("\0" in text for text in [*argv, *env, *env.values()]) or any(
        not name or "=" in name for name in env
    ):
        raise base.InvalidSpec(
            "A command, argument or variable has a NUL byte, or a variable's name is not one."
        )
    program = argv[0]
    if "/" in program and not os.path.isabs(program):
        raise base.InvalidSpec(
            f"The command {program!r} is relative; give an absolute path or a name found on PATH."
        )
    if shutil.which(program, path=env["PATH"]) is None:
        found = os.path.exists(program) if os.path.isabs(program) else False
        why = "is not an executable file" if found else "does not exist on this host"
        where = "" if os.path.isabs(program) else f" (searched PATH {env['PATH']})"
        raise base.InvalidSpec(f"The command {program!r} {why}{where}.")
    return argv


def end(wish: Record | None, state: Record | None) -> Record:
    """The wish that it comes to rest and goes, also where one of the two was lost."""
    known = wish or state or {}
    kept = wish or {name: known.get(name) for name in ("run", "reboots", "spec_hash")}
    return {**kept, "power": "stopped", "deleted": True}


def settled(wish: Record, state: Record | None) -> bool:
    """Whether it rests as it should, so that no supervisor is needed."""
    if state is None or state["run"] != wish["run"]:
        return False
    if wish["power"] == "stopped":
        return bool(state["phase"] == "stopped")
    return state["phase"] in ("exited", "failed")


def _phase(wish: Record, state: Record | None, *, current: bool) -> Phase:
    if state is None:
        return Phase.CREATING
    if wish.get("deleted"):
        return Phase.DELETING
    now, rests = Phase(state["phase"]), state["phase"] in supervisor.AT_REST
    if wish["power"] == "stopped":
        if rests and state["run"] == wish["run"]:
            return Phase.STOPPED
        return Phase.STOPPING
    if state["run"] == wish["run"] and (rests or current):
        return now
    if rests or not current:
        return Phase.STARTING  # a supervisor comes, and sees to it
    return Phase.REBOOTING


def observed(tag: base.Tag, wish: Record, state: Record | None, *, current: bool) -> base.Observed:
    """What the contract calls it. ``current``: who wrote ``state`` lives and will go on."""
    seen = state or {"spec_hash": wish["spec_hash"], "restarts": 0, "reboots": wish["reboots"]}
    return base.Observed(
        tag=base.Tag(tag.owner, tag.tenant_id, tag.instance_id, seen["spec_hash"], tag.contract),
        phase=_phase(wish, state, current=current),
        handle=str(seen["pid"]) if seen.get("pid") else None,
        node=socket.gethostname(),
        addresses=("127.0.0.1",),
        exit_code=seen.get("exit_code"),
        started_at=seen.get("started_at"),
        finished_at=seen.get("finished_at"),
        restarts=seen["restarts"],
        reboots=seen["reboots"],
        reason=seen.get("reason", ""),
        message=seen.get("message", ""),
    )
