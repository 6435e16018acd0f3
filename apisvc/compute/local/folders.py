"""The folder of one instance: what the driver reads and writes there, and the supervisor beside it.

``tag.json`` whose it is · ``wish.json`` what should be · ``state.json`` what the
supervisor made of it · ``lock`` held by the supervisor · ``edit`` held by who
changes the wish · ``wake`` a FIFO to the supervisor · ``log``, ``log.1`` output · ``trouble`` last
words of supervisors that failed, its time that of the latest start of one ·
``work/`` the command's own place.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from apisvc.compute import base
from apisvc.compute.local import files, supervisor

#: Seconds within which a supervisor that was started takes the lock.
_START = 1.0
_GRAVE = ".gone-"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")


class Folder:
    """``<state folder>/<owner>/<instance id>``."""

    def __init__(self, parent: str, instance_id: str) -> None:
        self.parent = parent
        self.path = os.path.join(parent, instance_id)

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    # What it says

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def tag(self) -> base.Tag | None:
        """None: made by halves, or no longer there."""
        found = files.read(self._file("tag.json"))
        try:
            return base.Tag(**found) if found else None
        except TypeError:
            return None

    def wish(self) -> dict[str, Any] | None:
        return files.read(self._file("wish.json"))

    def state(self) -> dict[str, Any] | None:
        return files.read(self._file("state.json"))

    def supervised(self) -> bool:
        """Whether a supervisor lives. Ask before reading the state: if it does not, the state is final."""
        with self._try_lock(fcntl.LOCK_SH) as held:
            return not held

    def starting(self) -> bool:
        """Whether one was started a moment ago and may not hold the lock yet."""
        try:
            return abs(time.time() - os.stat(self._file("trouble")).st_mtime) < _START
        except FileNotFoundError:
            return False

    # Changing it

    @contextlib.contextmanager
    def edit(self, deadline: float, *, make: bool) -> Iterator[bool]:
        """Within, nobody else changes the wish. False when there is no folder (and ``make`` is not said)."""
        while True:
            if make:
                self._make()
            try:
                fd = os.open(self._file("edit"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                if make:
                    continue  # removed in this moment
                yield False
                return
            try:
                _flock(fd, deadline)
                if _is(fd, self._file("edit")):
                    yield True
                    return
            finally:
                os.close(fd)

    def _make(self) -> None:
        os.makedirs(self.parent, mode=0o700, exist_ok=True)
        for path in (self.path, self._file("work")):
            with contextlib.suppress(FileExistsError, FileNotFoundError):  # removed in this moment
                os.mkdir(path, 0o700)

    def set(self, tag: base.Tag, wish: Mapping[str, Any]) -> None:
        """Within :meth:`edit`: this is what should be. From the tag on, the instance counts as there."""
        if not os.path.exists(self._file("wake")):
            os.mkfifo(self._file("wake"), 0o600)
        files.write(self._file("wish.json"), wish)
        if tag != self.tag():
            files.write(
                self._file("tag.json"), {name: getattr(tag, name) for name in base.Tag.__dataclass_fields__}
            )

    def rouse(self) -> None:
        """Have the supervisor look at the wish; start one when there is none."""
        if files.wake(self.path):
            return
        try:
            os.close(os.open(self._file("trouble"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.utime(self._file("trouble"))  # see starting()
        except FileNotFoundError:
            return  # removed in this moment
        program = [sys.executable, "-I", "-S", supervisor.__file__, self.path]
        # The shell ends at once, so the supervisor is nobody's child and leaves no zombie here.
        subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", '"$@" </dev/null >/dev/null 2>>"$0" &', self._file("trouble"), *program],
            env=environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
            timeout=10,
        )

    def remove(self) -> bool:
        """Within :meth:`edit`: take it away. False while a supervisor lives."""
        with self._try_lock(fcntl.LOCK_EX) as free:
            if not free:
                return False
            # Gone in one step for everybody; what is left of it is cleaned now or by the next one.
            grave = os.path.join(self.parent, f"{_GRAVE}{secrets.token_hex(8)}")
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path, grave)
        clean(grave)
        files.notify(self.path)
        return True

    @contextlib.contextmanager
    def _try_lock(self, how: int) -> Iterator[bool]:
        try:
            fd = os.open(self._file("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield True  # no folder: nobody lives in it
            return
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(fd)


def environment() -> dict[str, str]:
    """What of our own environment a program of ours gets."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def clean(path: str) -> None:
    """Remove a folder whatever modes the instance gave to the folders it made in there."""
    for place, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(place, name)
            # APPSEC: chmod follows links, and the instance may have made one to anywhere.
            if not os.path.islink(inner):
                with contextlib.suppress(OSError):
                    os.chmod(inner, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def clean_graves(parent: str) -> None:
    """Remove what :meth:`Folder.remove` did not get to the end of."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(parent):
            if name.startswith(_GRAVE):
                clean(os.path.join(parent, name))


def half_made(folder: Folder, *, older: float = 60.0) -> bool:
    """Whether its maker was killed before the tag was there."""
    try:
        age = time.time() - os.stat(folder.path).st_mtime
    except FileNotFoundError:
        return False
    return age > older and folder.tag() is None


def current(state: Mapping[str, Any] | None) -> bool:
    """Whether the supervisor that wrote this lives; the next one may hold the lock and not have written yet."""
    try:
        if state is not None:
            os.kill(state["supervisor"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, as another user
    return True


def _flock(fd: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise base.Timeout("Others keep changing this instance.") from None
            time.sleep(0.002)


def _is(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
