"""Shapes of what leads into an instance: commands, terminals, consoles."""

from typing import Annotated

import msgspec

from apisvc.schemas import base
from apisvc.schemas import instances as requests

_TEXT = "Bytes that are no UTF-8 are shown as U+FFFD."

_Words = Annotated[
    tuple[requests.Word, ...],
    msgspec.Meta(
        description="The program and its arguments. No shell is in between unless it is named.",
        min_length=1,
        max_length=256,
        examples=[["sh", "-c", "uname -a"]],
    ),
]
_Timeout = Annotated[
    float,
    msgspec.Meta(description="Seconds to wait for its end; null: as long as the service waits.", ge=0.1),
]


class ExecCreate(base.Body, frozen=True, kw_only=True):
    """A program to run inside an instance, and to wait for."""

    command: _Words
    stdin: Annotated[
        str, msgspec.Meta(description="What it reads; a good place for secrets.", max_length=131072)
    ] = ""
    timeout: _Timeout | None = None

    def __post_init__(self) -> None:
        requests.check_size("command", self.command)


class ExecView(base.View, frozen=True, kw_only=True):
    """What it did."""

    exit_code: Annotated[
        int | None, msgspec.Meta(description="null: the backend cannot say, or it still runs.")
    ]
    stdout: Annotated[str, msgspec.Meta(description=f"What it wrote to stdout. {_TEXT}")]
    stderr: Annotated[str, msgspec.Meta(description=f"What it wrote to stderr. {_TEXT}")]
    truncated: Annotated[bool, msgspec.Meta(description="It wrote more than is shown.")]
    ended: Annotated[
        bool, msgspec.Meta(description="false: it still ran when the time was over, and is left to itself.")
    ]


#: A request line has a limit in every server on the way: a longer program is run by a POST, or typed.
_QueryWord = Annotated[str, msgspec.Meta(max_length=1024, pattern=requests.NO_NUL)]


class TerminalQuery(base.Query, frozen=True, kw_only=True):
    """The program to connect with. Command lines end up in logs of proxies: give secrets as input."""

    command: Annotated[
        tuple[_QueryWord, ...],
        msgspec.Meta(
            description="The program; repeated, its arguments.",
            min_length=1,
            max_length=16,
            examples=[["sh"]],
        ),
    ]
    stdin: Annotated[bool, msgspec.Meta(description="It gets input.")] = False
    tty: Annotated[bool, msgspec.Meta(description="It runs on a terminal.")] = False


class ConsoleView(base.View, frozen=True, kw_only=True):
    """Where the console of an instance is."""

    kind: Annotated[str, msgspec.Meta(description="novnc, spice-html5, serial, ...")]
    url: Annotated[
        str, msgspec.Meta(description="Open it in a browser. Who has it is let in: keep it secret.")
    ]
