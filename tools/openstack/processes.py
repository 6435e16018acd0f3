"""The processes of a lab, found by what they bear in their environment.

There are no pid files that could be stale: what runs is what the system says, also after a SIGKILL of
whatever started it, and also for what a service itself put into the background.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from tools.openstack import places

SERVICE = "APISVC_OPENSTACK_SERVICE"


def spawn(
    folder: pathlib.Path, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start ``command`` as the service ``name`` of the lab in ``folder``; its words go to a log there."""
    with (folder / "log" / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, places.FOLDER: str(folder), SERVICE: name},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def find(folder: pathlib.Path, name: str | None = None) -> list[int]:
    """The ids of the lab's living processes, or of those of one service."""
    wanted = {f"{places.FOLDER}={folder}".encode()}
    if name:
        wanted.add(f"{SERVICE}={name}".encode())
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                borne = set((entry / "environ").read_bytes().split(b"\0"))
            except OSError:
                continue  # another user's, or gone
            # A service's own process, not a shell in which somebody pasted what `env` printed.
            if wanted <= borne and any(b.startswith(f"{SERVICE}=".encode()) for b in borne):
                found.append(int(entry.name))
    return found


def kill(folder: pathlib.Path, name: str | None = None) -> None:
    """SIGKILL; returns when they are gone."""

    def gone() -> bool:
        # Again and again, for one may have been about to start another.
        alive = find(folder, name)
        for process in alive:
            send(process, signal.SIGKILL)
        return not alive

    wait(f"{name or 'the lab'} is gone", gone, 30)


def stop(folder: pathlib.Path, name: str) -> None:
    """SIGTERM; returns when they are gone, and kills what does not go."""
    for process in find(folder, name):
        send(process, signal.SIGTERM)
    try:
        wait(f"{name} stops", lambda: not find(folder, name), 30)
    except places.LabError:
        kill(folder, name)


def freeze(folder: pathlib.Path, name: str) -> None:
    """SIGSTOP; returns when every thread stands still."""
    processes = find(folder, name)
    for process in processes:
        send(process, signal.SIGSTOP)
    wait(f"{name} stands still", lambda: all(_stands(process) for process in processes), 30)


def thaw(folder: pathlib.Path, name: str | None = None) -> None:
    for process in find(folder, name):
        send(process, signal.SIGCONT)


def send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _stands(process: int) -> bool:
    try:
        threads = list(pathlib.Path(f"/proc/{process}/task").iterdir())
        states = [(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads]
    except OSError:
        return True  # gone
    return all(state in "TZX" for state in states)


def wait(what: str, condition: Callable[[], object], seconds: float) -> None:
    """Until ``condition`` holds; LabError says ``what`` did not come."""
    end = time.monotonic() + seconds
    pause = 0.02
    while not condition():
        if time.monotonic() > end:
            raise places.LabError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
