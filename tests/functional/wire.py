"""A TCP proxy before a server, which can fall silent: what a frozen host or a full network looks like."""

import contextlib
import select
import socket
import threading

import fixtures


class Proxy(fixtures.Fixture):
    """``address`` leads to ``target``, as ``host:port``. While ``mute``, no answer passes; requests do."""

    def __init__(self, target: str) -> None:
        super().__init__()
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))

    def _setUp(self) -> None:
        self.mute = False
        self._stopped = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: set[socket.socket] = set()
        self.addCleanup(self._stop)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections."""
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _stop(self) -> None:
        self._stopped = True
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            try:
                far = socket.create_connection(self._target, 5)
            except OSError:
                near.close()
                continue
            threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            self._sockets |= {near, far}
            with contextlib.suppress(OSError):
                while True:
                    ready, _, _ = select.select([near, far], [], [], 0.1)
                    for source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is near:
                            far.sendall(data)
                        elif not self.mute:
                            near.sendall(data)
            self._sockets -= {near, far}
