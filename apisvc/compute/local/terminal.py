"""Commands inside an instance of the ``local`` driver: processes of this host beside the instance's own."""

import contextlib
import fcntl
import os
import select
import shutil
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping
from typing import Any

from apisvc.compute import base
from apisvc.compute.local import enter, folders, processes

_CHUNK = 65536
_LOOK = 0.1  # seconds between looks whether it was closed meanwhile


def start(folder: str, wish: Mapping[str, Any], request: base.ExecRequest) -> "LocalTerminal":
    """Run it in the instance of ``folder``. NotFound when there is no such program.

    The mark in its environment is what the supervisor ends it by.
    """
    program = request.command[0] if request.command else ""
    relative = "/" in program and not os.path.isabs(program)
    if not program or relative or shutil.which(program, path=wish["env"]["PATH"]) is None:
        raise base.NotFound(f"There is no program {program!r} (PATH is {wish['env']['PATH']}).")
    launch = [sys.executable, "-I", "-S", enter.__file__, folder, "1" if request.tty else "0"]
    launch += request.command
    env = {**folders.environment(), processes.MARK: folder}
    if request.tty:
        return _on_terminal(launch, env)
    process = subprocess.Popen(  # noqa: S603
        launch,
        env=env,
        stdin=subprocess.PIPE if request.stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        bufsize=0,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    outputs = {os.dup(process.stdout.fileno()): 1, os.dup(process.stderr.fileno()): 2}
    given = os.dup(process.stdin.fileno()) if process.stdin is not None else None
    for file in (process.stdin, process.stdout, process.stderr):
        if file is not None:
            file.close()
    return LocalTerminal(process, outputs, given)


def _on_terminal(launch: list[str], env: Mapping[str, str]) -> "LocalTerminal":
    ours, its = os.openpty()
    try:
        process = subprocess.Popen(launch, env=env, stdin=its, stdout=its, stderr=its, cwd="/")  # noqa: S603
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(its)
    return LocalTerminal(process, {ours: 1}, ours)


class LocalTerminal(base.Terminal):
    def __init__(
        self, process: "subprocess.Popen[bytes]", outputs: dict[int, int], given: int | None
    ) -> None:
        """``outputs``: descriptor -> stream; ``given``: where its input is written. With a tty they are one."""
        self._process = process
        self._outputs = outputs
        self._given = given
        self._tty = given in outputs
        self._lock = threading.Lock()
        self._closed = False
        for fd in {*outputs, *([] if given is None else [given])}:
            os.set_blocking(fd, False)

    def read(self, timeout: float) -> tuple[int, bytes] | None:
        end = time.monotonic() + timeout
        while True:
            ended = (
                self._process.poll() is not None
            )  # asked before reading: what was written until then is read
            if (
                piece := self._output(0.0 if ended else min(_LOOK, max(0.0, end - time.monotonic())))
            ) is not None:
                return piece
            if ended or self._closed:
                # What it started in the background may hold its output open; that is not waited for.
                return None
            if not self._outputs:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(min(_LOOK, max(0.0, end - time.monotonic())))
                    continue
            if time.monotonic() >= end:
                return (1, b"")

    def _output(self, timeout: float) -> tuple[int, bytes] | None:
        """Something it wrote, if it does within ``timeout``."""
        poll = select.poll()
        for fd in self._outputs:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(timeout * 1000) if self._outputs else ():
            with self._lock:
                stream = self._outputs.get(fd)
                if stream is None:  # closed meanwhile
                    return None
                try:
                    data = os.read(fd, _CHUNK)
                except BlockingIOError:
                    continue
                except OSError:  # EIO: nobody has the terminal open any more
                    data = b""
            if data:
                return stream, data
            self._let_go(fd)
        return None

    def _let_go(self, fd: int) -> None:
        with self._lock:
            if self._outputs.pop(fd, None) is not None and fd != self._given:
                os.close(fd)

    def write(self, data: bytes) -> None:
        while True:
            with self._lock:
                if self._closed or self._given is None:
                    return
                if not data:
                    if not self._tty:
                        os.close(self._given)
                        self._given = None
                    return
                try:
                    data = data[os.write(self._given, data) :]
                except BlockingIOError:
                    pass
                except OSError:  # it has ended, or reads no more
                    return
                if not data:
                    return
                full = self._given
            poll = select.poll()
            poll.register(full, select.POLLOUT)
            poll.poll(_LOOK * 1000)

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            if self._tty and not self._closed and self._given is not None:
                fcntl.ioctl(self._given, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def exit_code(self) -> int | None:
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for fd in {*self._outputs, *([] if self._given is None else [self._given])}:
                os.close(fd)
            self._outputs, self._given = {}, None
        if self._process.poll() is None:
            # It goes on without us until it writes, or its instance ends; somebody must take note of its end.
            threading.Thread(target=self._process.wait, name="exec left", daemon=True).start()
