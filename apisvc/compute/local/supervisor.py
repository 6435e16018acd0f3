"""The supervisor of one instance: a program of its own that outlives apisvc.

Started as ``python -I -S supervisor.py FOLDER``; it needs the standard library
and two modules beside it. What it does is said by ``wish.json``, which only the driver
writes; what it did is said by ``state.json``, which only it writes; both are
replaced whole. One *run* of the command has a number: whoever wants another one
(new spec, reboot, start from rest) wishes for the next number, so each is done
once however often it is asked for.

* ``lock`` is held (flock) for its life, so there is never a second one, and
  whether one lives is seen by the lock, not by a pid.
* ``wake`` is a FIFO; writing to it makes it read the wish again. Opening it
  fails with ENXIO when nobody listens.
* It leaves when its instance is at rest: a stopped instance costs no memory.
* When it is killed, the kernel kills the command with it (PDEATHSIG), and what
  the command had started is found by a mark in the environment and killed by
  the next supervisor before it runs anything.
"""

import os
import select
import signal
import sys
import time
from typing import Any

if __name__ == "__main__":  # a program of its own, started with nothing on its path
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))

from apisvc.compute.local import files, processes

#: Phases in which nothing runs and nothing will by itself.
AT_REST = ("stopped", "exited", "failed")

_IDLE = 30.0  # seconds after which the folder is looked at though nobody woke us
_BACKOFF = (0.1, 60.0)  # seconds before it is started again: first, longest
_STEADY = 10.0  # having run for so many seconds, it starts again with the first pause


class Supervisor:
    """Makes what runs in ``folder`` be as its wish says."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.wish: dict[str, Any] = {}
        self.state: dict[str, Any] = {
            "run": 0,
            "phase": "creating",
            "restarts": 0,
            "reboots": 0,
            "spec_hash": "",
        }
        self.state.update(files.read(self._path("state.json")) or {})
        self.state["supervisor"] = os.getpid()
        self.log = files.Log(folder, 1 << 20)
        self.child: int | None = None
        self.output = -1
        self.kill_at: float | None = None  # set: its end was asked for
        self.retry_at = 0.0
        self.failures = 0
        self.launched = 0.0
        self.leaving = False  # we were told to end
        self.unsaved = False
        self.wake_fd = -1
        self.signals, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _leave(self, *_: object) -> None:
        self.leaving = True

    def serve(self) -> None:
        """Go on until the instance is at rest, or we are told to leave."""
        if self.state["phase"] not in ("creating", *AT_REST):
            processes.sweep(self.folder)
            self.state["restarts"] += 1
        while True:
            self.wake_fd = os.open(self._path("wake"), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            while (pause := self.step()) is not None:
                self._wait(pause)
            os.close(self.wake_fd)
            self.wake_fd = -1
            # Who wrote a wish before that line found the FIFO open and counts on us. Who comes later finds
            # it closed and starts another one, which waits for our lock.
            if self.leaving or self.step() is None:
                return

    def step(self) -> float | None:
        """Do what can be done now. Seconds until the next look; None: at rest."""
        self._reap()
        wish = self.wish = files.read(self._path("wish.json")) or {**self.wish, "power": "stopped", "run": -1}
        if self.unsaved:
            self._save(told=True)
        if self.child is not None:
            return self._running(time.monotonic())
        if self.leaving or wish["run"] == -1:  # the folder was taken away
            return None
        if wish["power"] == "stopped":
            self._adopt(phase="stopped", reason="", message="")
        elif wish["run"] == self.state["run"] and self.state["phase"] in AT_REST:
            pass
        elif wish["run"] == self.state["run"] and time.monotonic() < self.retry_at:
            return self.retry_at - time.monotonic()
        else:
            self._launch()
            return 0.0
        return 1.0 if self.unsaved else None

    def _running(self, now: float) -> float:
        wished = self.wish["power"] == "running" and self.wish["run"] == self.state["run"]
        if self.kill_at is None and wished and not self.leaving:
            return _IDLE
        if self.kill_at is None:
            self.kill_at = now + self.wish.get("grace", 10.0)
            again = self.wish["power"] == "running" and not self.leaving
            self._note(phase="rebooting" if again else "stopping")
            self._signal(signal.SIGTERM)
        elif now >= self.kill_at:
            self._signal(signal.SIGKILL)
            self.kill_at = now + 1
        return max(0.0, self.kill_at - now)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.child or 0, number)
        except ProcessLookupError:
            return

    def _adopt(self, **more: Any) -> None:
        """What runs, or rests, is from now on what is wished for."""
        told = {name: self.wish[name] for name in ("run", "reboots", "spec_hash")}
        if any(self.state.get(name) != value for name, value in {**told, **more}.items()):
            self._note(**told, **more)

    def _launch(self) -> None:
        wish = self.wish
        if wish["run"] != self.state["run"]:
            self.failures = 0
        # Said before it is so: if we are killed from here on, the next one sweeps.
        self._note(
            told=False, phase="starting", run=wish["run"], reboots=wish["reboots"], spec_hash=wish["spec_hash"],
            exit_code=None, finished_at=None, reason="", message="",
        )  # fmt: skip
        self.log.close()
        self.log = files.Log(self.folder, wish["log_bytes"])
        problem, problem_w = os.pipe2(os.O_CLOEXEC)
        self.output, output_w = os.pipe2(os.O_CLOEXEC)
        supervisor = os.getpid()
        self.child = os.fork()
        if not self.child:
            try:
                processes.become(wish, self.folder, supervisor, output_w)
            except BaseException as error:
                os.write(problem_w, str(error).encode(errors="replace")[:4000])
            os._exit(127)
        os.close(problem_w)
        os.close(output_w)
        os.set_blocking(self.output, False)
        with open(problem, "rb") as file:
            text = file.read().decode(errors="replace")
        self.launched = time.monotonic()
        if text:
            os.waitpid(self.child, 0)
            self.child = None
            self._close_output()
            self._note(phase="failed", finished_at=time.time(), reason="StartError", message=text)
        else:
            self._note(phase="running", pid=self.child, started_at=time.time())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.child:
                self._ended(os.waitstatus_to_exitcode(status))

    def _ended(self, code: int) -> None:
        """The command ended; what it left running goes with it, as in a container."""
        while kids := processes.children():
            for pid in kids:
                processes.kill(pid)
            os.waitpid(-1, 0)  # their own children become ours: we are their reaper
        for pid in processes.marked(self.folder):  # what was run inside it by exec
            processes.kill(pid)
        self.child = None
        self._pump()
        self._close_output()
        asked, self.kill_at = self.kill_at is not None, None
        how = f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
        exit_code = code if code >= 0 else 128 - code
        fields: dict[str, Any] = {"pid": None, "exit_code": exit_code, "finished_at": time.time()}
        policy = self.wish.get("policy")
        if asked:
            # step() goes on from here; when we leave, the next supervisor does.
            self._note(told=False, **fields, phase="starting" if self.leaving else self.state["phase"])
        elif policy == "always" or (policy == "on-failure" and code != 0):
            self.failures = 0 if time.monotonic() - self.launched > _STEADY else self.failures + 1
            pause = min(_BACKOFF[0] * 2 ** min(self.failures, 20), _BACKOFF[1])
            self.retry_at = time.monotonic() + pause
            self._note(
                **fields, phase="starting", restarts=self.state["restarts"] + 1, reason="BackOff",
                message=f"It ended with {how} and is started again after {pause:.1f} s.",
            )  # fmt: skip
        else:
            reason = "Completed" if code == 0 else "Error" if code > 0 else "Signal"
            self._note(**fields, phase="exited", reason=reason, message=f"It ended with {how}.")

    def _close_output(self) -> None:
        if self.output >= 0:
            os.close(self.output)
            self.output = -1

    def _pump(self) -> None:
        """Take what was printed."""
        try:
            while self.output >= 0 and (data := os.read(self.output, 65536)):
                self.log.write(data)
        except BlockingIOError:
            return

    def _note(self, *, told: bool = True, **fields: Any) -> None:
        self.state.update(fields)
        self._save(told)

    def _save(self, told: bool) -> None:
        try:
            files.write(self._path("state.json"), self.state)
        except OSError:  # a full disk, or the folder is gone: tried again
            self.unsaved = True
            return
        self.unsaved = False
        if told:
            files.notify(self.folder)

    def _wait(self, seconds: float) -> None:
        """Until woken, a signal, output, or so many seconds."""
        poll = select.poll()
        for fd in (self.wake_fd, self.signals, self.output):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(min(seconds, 1.0 if self.unsaved else _IDLE) * 1000):
            if fd != self.output:
                os.read(fd, 65536)
            elif data := os.read(fd, 65536):
                self.log.write(data)
            else:  # it closed its output, and runs on
                self._close_output()


def main(folder: str) -> None:
    os.setsid()
    os.umask(0o077)
    os.chdir("/")
    if (lock := processes.acquire(folder)) is None:
        return
    processes.adopt_orphans()
    try:
        Supervisor(folder).serve()
    finally:
        os.close(lock)
        files.notify(folder)  # once more: now the lock is free, too


if __name__ == "__main__":
    main(sys.argv[1])
