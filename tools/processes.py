"""The processes of a lab, found by what they bear in their environment.

There are no pid files that could be stale: what runs is what the system says, also after a SIGKILL of
whatever started it, and also for what a service itself put into the background.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Mapping, Sequence

from tools import places

#: In the environment of every process of a lab: the lab's folder, and which service of it this is.
FOLDER = "APISVC_LAB"
SERVICE = "APISVC_LAB_SERVICE"


def spawn(
    folder: pathlib.Path, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start ``command`` as the service ``name`` of the lab in ``folder``; its words go to a log there."""
    with (folder / "log" / f"{name}.log").open("ab") as log:
        started = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, FOLDER: str(folder), SERVICE: name},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # For a moment after its start the kernel shows no environment, and find() would not see it.
    mark = f"{SERVICE}={name}".encode()
    places.wait(f"{name} starts", lambda: started.poll() is not None or mark in _environment(started.pid), 30)
    return started


def find(folder: pathlib.Path, name: str | None = None, program: str | None = None) -> list[int]:
    """The ids of the lab's living processes: all, those of one service, or those of it that run ``program``."""
    wanted = {f"{FOLDER}={folder}".encode()}
    if name:
        wanted.add(f"{SERVICE}={name}".encode())
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            borne = _environment(int(entry.name))
            try:
                runs = (entry / "cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue  # another user's, or gone
            # A service's own process, not a shell in which somebody pasted what `env` printed.
            service = any(b.startswith(f"{SERVICE}=".encode()) for b in borne)
            if wanted <= borne and service and program in (None, os.path.basename(os.fsdecode(runs))):
                found.append(int(entry.name))
    return found


def _environment(process: int) -> set[bytes]:
    try:
        return set(pathlib.Path(f"/proc/{process}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()  # another user's, or gone


def kill(folder: pathlib.Path, name: str | None = None, program: str | None = None) -> None:
    """SIGKILL; returns when they are gone."""

    def gone() -> bool:
        # Again and again, for one may have been about to start another.
        alive = find(folder, name, program)
        for process in alive:
            send(process, signal.SIGKILL)
        return not alive

    places.wait(f"{name or 'the lab'} in {folder} is gone", gone, 60)


def freeze(folder: pathlib.Path, name: str, program: str | None = None) -> None:
    """SIGSTOP; returns when every thread stands still."""
    processes = find(folder, name, program)
    for process in processes:
        send(process, signal.SIGSTOP)
    places.wait(f"{name} stands still", lambda: all(_stands(process) for process in processes), 30)


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
