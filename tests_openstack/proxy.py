"""A proxy before a service of the cloud, that loses answers, or accepts and never answers."""

import http.client
import http.server
import threading
import urllib.parse
from collections.abc import Callable

import fixtures

#: Of the connection, not of what passes. Host does: Nova's links lead where it was asked.
_HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the test."""


class Proxy(fixtures.Fixture):
    """``url`` leads to ``upstream``, a URL with a path perhaps."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.upstream = upstream
        #: Whether the answer to this request (method, path) is lost, after the service has done it.
        self.loses: Callable[[str, str], bool] = lambda method, path: False
        #: (method, path, the status that nobody got) of each.
        self.lost: list[tuple[str, str, int]] = []
        #: Cleared: everybody waits.
        self.answering = threading.Event()
        self.answering.set()
        #: How many wait, or waited, for an answer while there was none.
        self.waited = 0
        self.lock = threading.Lock()

    def _setUp(self) -> None:
        server = Server(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(self.answering.set)
        path = urllib.parse.urlsplit(self.upstream).path
        self.url = f"http://127.0.0.1:{server.server_port}{path}"

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy, target = self, urllib.parse.urlsplit(self.upstream)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not proxy.answering.is_set():
                    with proxy.lock:
                        proxy.waited += 1
                    proxy.answering.wait()
                    self.close_connection = True
                    return
                upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=300)
                try:
                    sent = {k: v for k, v in self.headers.items() if k.lower() not in _HOPS}
                    upstream.request(self.command, self.path, body or None, sent)
                    answer = upstream.getresponse()
                    content = answer.read()
                except OSError:
                    self.close_connection = True  # as the service itself would
                    return
                finally:
                    upstream.close()
                if answer.status < 300 and proxy.loses(self.command, self.path):
                    with proxy.lock:
                        proxy.lost.append((self.command, self.path, answer.status))
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOPS:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = forward

            def log_message(self, *arguments: object) -> None:
                """Nothing."""

        return Handler
