"""``apisvc instance exec|console``: ways into an instance."""

import contextlib
import io
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from apisvc.commands.cli import base, exits

if TYPE_CHECKING:
    from apisvc.client import terminals

_CHUNK = 16384


class Exec(base.Command):
    """Run a program inside an instance; its exit code is that of this command."""

    takes_tail = True
    epilog = "example: apisvc instance exec -i -t web -- sh"

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.usage = "%(prog)s [options] INSTANCE -- PROGRAM [ARG ...]"
        parser.add_argument("instance", help="Name or id.")
        parser.add_argument("-i", "--stdin", action="store_true", help="Hand it our standard input.")
        parser.add_argument("-t", "--tty", action="store_true", help="Run it on a terminal.")
        return parser

    def take_action(self, parsed_args: base.Options) -> int:
        if not self.app.tail:
            raise exits.UsageError("What is to be run? It follows '--': apisvc instance exec web -- ls")
        given = _descriptor(self.app.stdin) if parsed_args.stdin else None
        on_terminal = parsed_args.tty and given is not None and os.isatty(given)
        connected = self.api.instances.connect(
            self.tenant, parsed_args.instance, self.app.tail, stdin=parsed_args.stdin, tty=parsed_args.tty
        )
        with (
            connected as terminal,
            _raw(given if on_terminal else None),
            _sizes(terminal, on_terminal) as news,
        ):
            if parsed_args.stdin:
                arguments = (terminal, given, self.app.stdin, news)
                threading.Thread(target=_feed, args=arguments, name="input", daemon=True).start()
            for stream, data in terminal:
                _show(self.app.stdout if stream == 1 else self.app.stderr, data)
        if terminal.exit_code is None:
            self.app.stderr.write("apisvc: it ended; the backend cannot say how.\n")
            return exits.Exit.ERROR
        return terminal.exit_code


def _descriptor(stream: Any) -> int | None:
    """Of a real file; None of one that is made up."""
    try:
        number: int = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None
    return number


def _show(stream: Any, data: bytes) -> None:
    raw = getattr(stream, "buffer", None)
    if raw is None:
        stream.write(data.decode(errors="replace"))
    else:
        raw.write(data)
        raw.flush()


@contextlib.contextmanager
def _raw(descriptor: int | None) -> Iterator[None]:
    """Within, every key goes to the program as it is."""
    if descriptor is None:
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


@contextlib.contextmanager
def _sizes(terminal: "terminals.Terminal", on_terminal: bool) -> Iterator[int | None]:
    """A descriptor that can be read when our window has another size; the first one is told at once."""
    if not on_terminal:
        yield None
        return
    told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def changed(*_: Any) -> None:
        with contextlib.suppress(OSError):
            os.write(tell, b"!")

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        _tell_size(terminal)
        yield told
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(tell)
        os.close(told)


def _tell_size(terminal: "terminals.Terminal") -> None:
    with contextlib.suppress(OSError):
        size = os.get_terminal_size(sys.__stdin__.fileno() if sys.__stdin__ else 0)
        if size.columns and size.lines:
            terminal.resize(size.columns, size.lines)


def _feed(terminal: "terminals.Terminal", given: int | None, stream: Any, news: int | None) -> None:
    """Hand on input until its end, or the terminal's."""
    from apisvc.client import errors

    try:
        if given is None:
            terminal.write(stream.read().encode())
            return terminal.end_input()
        watched = [given] if news is None else [given, news]
        while True:
            for ready in select.select(watched, [], [])[0]:
                data = os.read(ready, _CHUNK)
                if ready == news:
                    _tell_size(terminal)
                elif data:
                    terminal.write(data)
                else:
                    return terminal.end_input()
    except (errors.ClientError, OSError, ValueError):
        return None  # the other end says why


class Console(base.Show):
    """Show where the console of an instance is. Who has the URL is let in."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument("instance", help="Name or id.")
        return parser

    def answer(self, options: base.Options) -> base.Dict:
        return self.api.instances.console(self.tenant, options.instance)
