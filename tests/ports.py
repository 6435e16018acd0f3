"""Ports of this host for what a test starts, and starts again."""

import socket
from collections.abc import Callable
from typing import Any


def reserve(at_the_end: Callable[..., Any]) -> int:
    """A port of 127.0.0.1 that nobody listens on, and that nobody else is given until the test ends.

    A server that sets SO_REUSEADDR, as all do, can listen on it, also when it
    is started again. A port that was merely free a moment ago can be taken by
    the next connection of anybody, just while its server is away.

    :param at_the_end: the test's ``addCleanup``, or the like.
    """
    # The kernel chooses no port that is bound, neither for a listener nor for a connection.
    holder = socket.socket()
    at_the_end(holder.close)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])
