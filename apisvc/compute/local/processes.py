"""The processes of an instance: holding its lock, becoming its command, finding and ending what belongs to it.

The standard library only: a supervisor starts with nothing else on its path.
"""

import ctypes
import fcntl
import os
import resource
import signal
import time
from collections.abc import Iterator
from typing import Any

from apisvc.compute.local import files

#: In the environment of every process of an instance; its value is the instance's folder.
MARK = "APISVC_INSTANCE_FOLDER"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """What our descendants leave behind becomes our child, so that nothing of it gets away."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def acquire(folder: str) -> int | None:
    """The lock of ``folder``; None when another supervisor serves it, or the folder is gone."""
    path = os.path.join(folder, "lock")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except (BlockingIOError, FileNotFoundError):
            pass  # held by another one, or removed while we waited: look again
        os.close(fd)
        if files.wake(folder):
            return None
        time.sleep(0.005)
    return None


def marked(folder: str) -> Iterator[int]:
    """Pids of the processes that bear the mark of ``folder``."""
    mark = os.fsencode(f"{MARK}={folder}")
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    yield int(name)
        except OSError:
            continue  # ended, or another user's


def sweep(folder: str) -> None:
    """Kill what a supervisor that was killed left behind, and see it gone."""
    end = time.monotonic() + 10
    clear = 0
    # Several times in a row: one that is ending may have started another behind the back of a look,
    # and in the middle of an exec a process shows no environment.
    while clear < 3:
        left = list(marked(folder))
        clear = 0 if left else clear + 1
        if time.monotonic() > end:
            raise SystemExit(f"cannot end {left}, left behind by an earlier run")
        for pid in left:
            kill(pid)
        time.sleep(0.002)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return [
            pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _parent(pid) == os.getpid()
        ]


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _limit(kind: int, amount: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    resource.setrlimit(kind, (most, most))


def take_on(wish: dict[str, Any], folder: str) -> None:
    """In a process that is to be a command of the instance: its limits and its place."""
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):
        signal.signal(number, signal.SIG_DFL)
    _limit(resource.RLIMIT_CORE, 0)
    if wish["ram_mb"]:
        _limit(resource.RLIMIT_DATA, wish["ram_mb"] << 20)
    if wish["disk_gb"]:
        _limit(resource.RLIMIT_FSIZE, wish["disk_gb"] << 30)
    cpus = sorted(os.sched_getaffinity(0))
    if 0 < wish["vcpus"] < len(cpus):
        first = sum(folder.encode()) % len(cpus)  # spread the instances over the host
        os.sched_setaffinity(0, [(cpus + cpus)[first + n] for n in range(wish["vcpus"])])
    os.chdir(os.path.join(folder, "work"))
    os.umask(0o022)


def become(wish: dict[str, Any], folder: str, supervisor: int, output: int) -> None:
    """In the child: take on limits, environment and place of the command, then be it."""
    os.setsid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)  # it was killed before the line above
    take_on(wish, folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.execvpe(wish["argv"][0], wish["argv"], {**wish["env"], MARK: folder})  # noqa: S606
