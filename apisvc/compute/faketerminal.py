"""What runs when somebody executes a command inside an instance of the ``fake`` driver: a very small shell.

Nothing of it happens on the host. ``sh -c`` takes commands separated by ``;``
or ``&&``; ``>&2`` sends the output of one to stderr.
"""

import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from apisvc.compute import base

#: What can be run, for error texts and tests.
PROGRAMS = ("sh", "echo", "printf", "cat", "env", "exit", "sleep", "stty", "true", "false")
_END = b""


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class FakeTerminal(base.Terminal):
    """A program with its input and output, in a thread of its own until it ends or is closed."""

    def __init__(self, request: base.ExecRequest, env: Mapping[str, str]) -> None:
        """:raises NotFound: there is no such program."""
        if not request.command or _name(request.command) not in PROGRAMS:
            raise base.NotFound(f"There is no program {next(iter(request.command), '')!r}.")
        self._request = request
        self._env = env
        self._input: queue.Queue[bytes] = queue.Queue(64)
        self._output: queue.Queue[tuple[int, bytes] | None] = queue.Queue(64)
        self._closed = threading.Event()
        self._code: int | None = None
        self._size = (80, 24)
        if not request.stdin:
            self._input.put(_END)
        threading.Thread(target=self._run, name="fake terminal", daemon=True).start()

    # The contract

    def read(self, timeout: float) -> tuple[int, bytes] | None:
        try:
            return self._output.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return (1, b"")

    def write(self, data: bytes) -> None:
        self._put(self._input, data)

    def resize(self, columns: int, rows: int) -> None:
        if self._request.tty:
            self._size = (columns, rows)

    @property
    def exit_code(self) -> int | None:
        return self._code

    def close(self) -> None:
        self._closed.set()

    # The program

    def _put(self, where: "queue.Queue[bytes] | queue.Queue[tuple[int, bytes] | None]", item: object) -> None:
        while not self._closed.is_set():
            try:
                return where.put(item, timeout=0.05)  # type: ignore[arg-type]
            except queue.Full:
                continue
        return None

    def _run(self) -> None:
        try:
            self._code = self._command(list(self._request.command), self._say)
        except _Exit as end:
            self._code = end.code
        self._put(self._output, None)

    def _say(self, data: bytes, stream: int = 1) -> None:
        self._put(self._output, (1 if self._request.tty else stream, data))

    def _command(self, words: list[str], say: Callable[[bytes], None]) -> int:
        """Run one; its exit code."""
        name, rest = _name(words), words[1:]
        if name == "sh":
            return self._script(rest[1]) if rest[:1] == ["-c"] and len(rest) > 1 else 0
        if name in ("echo", "printf"):
            text = (
                " ".join(rest).encode().decode("unicode_escape")
                if name == "printf"
                else " ".join(rest) + "\n"
            )
            say(text.encode())
        elif name == "cat":
            while data := self._take():
                say(data)
        elif name == "env":
            say("".join(f"{key}={value}\n" for key, value in sorted(self._env.items())).encode())
        elif name == "stty":
            say(f"{self._size[1]} {self._size[0]}\n".encode())
        elif name == "sleep":
            end = time.monotonic() + float(rest[0])
            self._closed.wait(max(0.0, end - time.monotonic()))
        elif name == "exit":
            raise _Exit(int(rest[0]) if rest else 0)
        elif name != "true":
            return 1 if name == "false" else 127
        return 0

    def _script(self, text: str) -> int:
        code = 0
        for step in text.replace("&&", ";").replace("\n", ";").split(";"):
            quiet = step.strip().removeprefix("exec ")
            to_error = ">&2" in quiet
            words = shlex.split(quiet.replace("1>&2", "").replace(">&2", ""))
            if words:
                code = self._command(
                    [self._env.get(word[1:], "") if word.startswith("$") else word for word in words],
                    lambda data, error=to_error: self._say(data, 2 if error else 1),  # type: ignore[misc]
                )
        return code

    def _take(self) -> bytes:
        while not self._closed.is_set():
            try:
                return self._input.get(timeout=0.05)
            except queue.Empty:
                continue
        return _END


def _name(words: Sequence[str]) -> str:
    return words[0].rsplit("/", 1)[-1]
