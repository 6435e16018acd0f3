"""``--wait``: until it is so, with a line that says how far it is."""

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from apisvc.commands.cli import app

Dict = dict[str, Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--wait`` and ``--wait-timeout``."""
    parser.add_argument("--wait", action="store_true", help="Wait until it is done.")
    parser.add_argument(
        "--wait-timeout",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="How long to wait; default 300. What was asked for goes on after that.",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 seconds and a week")
    return seconds


def wait(app: "app.CommandLine", instance: Dict, states: Collection[str], timeout: float) -> Dict:
    """Wait for ``instance``; it as it then is, in state ``gone`` when it is that."""
    line = Progress(app.stderr, instance["name"])
    try:
        found = app.client.wait(instance, states, timeout, line.show)
        if found is None:
            found = {**instance, "status": {**instance["status"], "state": "gone"}}
            line.show(found)
        return found
    finally:
        line.end()


class Progress:
    """``web: pending -> building -> active`` growing on one line of a terminal; elsewhere nothing."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream if stream.isatty() else None
        self._name = name
        self._last = ""

    def show(self, instance: Dict) -> None:
        """Add where ``instance`` is now."""
        status = instance["status"]
        text = status["state"]
        if status.get("fault"):
            text += f" ({status['fault']['code']})"
        if self._stream and text != self._last:
            self._stream.write(f" -> {text}" if self._last else f"{self._name}: {text}")
            self._stream.flush()
        self._last = text

    def end(self) -> None:
        """Finish the line."""
        if self._stream and self._last:
            self._stream.write("\n")
            self._stream.flush()
