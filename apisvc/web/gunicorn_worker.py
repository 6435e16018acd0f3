"""gunicorn's threaded worker, with requests served in turns: ``worker_class = "apisvc.web.gunicorn_worker.Turns"``."""

import socket
import time
from typing import Any, ClassVar

from gunicorn.workers import gthread

from apisvc import turns
from apisvc.turns import pool
from apisvc.web import shares

#: Seconds that a client may take from its connection to its first request while nobody waits for it.
FIRST = 5.0
#: PERF: to join the two costs as much as the call.
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)


class Turns(gthread.ThreadWorker):  # type: ignore[misc]
    """``gthread`` as it is, but for the pool of threads, and for who takes a new connection.

    All that is overridden is called in the thread that polls the connections, but for ``handle`` and its kind.
    """

    #: Of all processes of this gunicorn: made by the one that starts the others.
    _shares: ClassVar[shares.Shares | None] = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # After a reload the old ones are there beside the new ones for a while, which may be more.
        processes = 2 * self.cfg.workers
        if Turns._shares is None or Turns._shares.processes < processes:
            Turns._shares = shares.Shares(processes)
        self._share = Turns._shares.enter()
        self._tls: bool = self.cfg.is_ssl
        #: Connections to be served, until this round of polling is through.
        self._arrived: list[gthread.TConn] = []
        #: Until when new connections are left to others.
        self._leaves_until = 0.0

    def init_process(self) -> None:
        # PERF: gunicorn looks for a setting in two dictionaries, dozens of times in a request; here none changes any more.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def get_thread_pool(self) -> "pool.Pool[gthread.TConn]":
        return pool.Pool(self.cfg.threads, self.handle, ask=self._ask, told=self._told)

    def _ask(self, deadline: float) -> turns.Asked | None:
        # An application of the deployer's own around ours need not have it.
        ahead = getattr(self.wsgi, "ahead", None)
        asked: turns.Asked | None = ahead(deadline) if ahead else None
        return asked

    def _came(self, conn: gthread.TConn) -> bool:
        # What is readable on a connection with TLS may be of TLS itself.
        return not self._tls and begun(conn.sock)

    def handle(self, conn: gthread.TConn) -> Any:
        if not conn.initialized and not begun(conn.sock):
            with turns.waiting():
                conn.wait_for_data(FIRST)
        return super().handle(conn)

    def handle_http2(self, conn: gthread.TConn) -> Any:
        # Where a deployer has allowed it: for as long as the connection lasts requests come on it.
        turns.leave()
        return super().handle_http2(conn)

    # What came together is served together

    def enqueue_req(self, conn: gthread.TConn) -> None:
        self._arrived.append(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        leaves = self._leaves_until - time.monotonic()
        super().wait_for_and_dispatch_events(min(timeout, leaves) if leaves > 0 else timeout)
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self.tpool.submit([(conn, self._came(conn)) for conn in arrived])

    def _told(self, tasks: "list[pool.Task[gthread.TConn]]") -> None:
        """In one of the threads: a connection on which the next request has come need not be polled for it."""
        again: list[pool.Task[gthread.TConn]] = []
        rest: list[pool.Task[gthread.TConn]] = []
        for task in tasks:
            kept = self.alive and task.returned is True
            (again if kept and self._came(task.item) else rest).append(task)
        if again:
            try:
                self.tpool.submit([(task.item, True) for task in again])
            except RuntimeError:  # it has just been shut down
                rest = tasks
        if rest:
            self.method_queue.defer(self._finish, rest)

    def _finish(self, tasks: "list[pool.Task[gthread.TConn]]") -> None:
        for task in tasks:
            self.finish_request(task.item, task)

    # Each process takes its share of the connections

    def notify(self) -> None:
        """That this process is well, which gunicorn has it say in every round."""
        super().notify()
        self._share.tell(self.nr_conns if self.alive else None)

    def accept(self, listener: Any) -> None:
        if self._share.takes(self.nr_conns):
            super().accept(listener)
            self._share.tell(self.nr_conns)
        else:
            self._leaves_until = time.monotonic() + shares.LOOK
            self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool) -> None:
        # gunicorn asks for it in every round.
        super().set_accept_enabled(enabled and time.monotonic() >= self._leaves_until)


def begun(connection: socket.socket) -> bool:
    """Whether a request has begun to come in.

    A connection that is readable need not have one: it may have been closed, and of an
    empty line after the request before, which some clients send, gunicorn takes no notice.
    """
    try:
        first = connection.recv(1, _PEEK)
    except OSError:
        return False
    return first not in (b"", b"\r", b"\n")
