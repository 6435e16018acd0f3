"""What reading one instance costs, against a bare Falcon app that answers the same bytes.

Both run under the same gunicorn settings, one after the other in turns, driven
by the same load; what is compared is the CPU time of the gunicorn processes
(``/proc/<pid>/stat``) for a request. Linux only. Run from a checkout whose
package metadata is known to Python (``pip install -e .``)::

    python benchmarks/read_cost.py [--requests 5000] [--rounds 3] [--connections 8]

The promise is a ratio of at most 4.
"""

import argparse
import contextlib
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence

import msgspec

from apisvc.commands import assemble
from apisvc.conf import files
from apisvc.model import backends, codec, identity, keys
from apisvc.model import instances as model
from apisvc.schemas import flavors, images, instances
from apisvc.service import context, layout, secrets, tokens
from apisvc.storage import base as storage

PROMISE = 4.0
_TICKS = os.sysconf("SC_CLK_TCK")

_CONFIG = """\
[DEFAULT]
state_dir = {folder}
enabled_backends = made-up
[api]
access_log = {access_log}
[storage]
driver = sqlite
[made-up]
driver = fake
"""

_BARE = """\
import os
import pathlib
import falcon

BODY = pathlib.Path(os.environ["BENCHMARK_BODY"]).read_bytes()


class Fixed:
    def on_get(self, req, resp, tenant, instance):
        resp.data = BODY


app = falcon.App()
app.add_route("/v1/tenants/{tenant}/instances/{instance}", Fixed())
"""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--requests", type=int, default=5000, help="for each round and app")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("--no-access-log", action="store_true", help="without a log line for each request")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        (folder / "apisvc.conf").write_text(_CONFIG.format(folder=folder, access_log=not asked.no_access_log))
        (folder / "bare.py").write_text(_BARE)
        path, token = _seed(folder)
        environment = {**os.environ, "APISVC_CONFIG_DIR": name, "BENCHMARK_BODY": str(folder / "body")}
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n".encode()

        served = stack.enter_context(_gunicorn("apisvc.main:app", folder, environment))
        (folder / "body").write_bytes(_get(served.port, request))
        bare = stack.enter_context(_gunicorn("bare:app", folder, environment))
        apps = {"bare": bare, "apisvc": served}
        if _get(bare.port, request) != _get(served.port, request):
            raise SystemExit("the two apps do not answer the same bytes")

        cost: dict[str, list[float]] = {"bare": [], "apisvc": []}
        for app in apps.values():  # warm up
            _drive(app.port, request, asked.requests // 5, asked.connections)
        for _ in range(asked.rounds):
            for kind, app in apps.items():
                before, started = app.cpu(), time.perf_counter()
                _drive(app.port, request, asked.requests, asked.connections)
                took = time.perf_counter() - started
                cost[kind].append((app.cpu() - before) / asked.requests)
                print(
                    f"{kind:7} {cost[kind][-1] * 1e6:7.1f} us CPU a request, "
                    f"{asked.requests / took:7.0f} requests/s"
                )
    ratio = statistics.median(cost["apisvc"]) / statistics.median(cost["bare"])
    print(f"ratio of the medians: {ratio:.2f} (promised: at most {PROMISE:g})")
    return 0 if ratio <= PROMISE else 1


def _seed(folder: pathlib.Path) -> tuple[str, str]:
    """A tenant with an instance; returns the instance's path and a token of an ordinary member."""
    secrets.add_key(str(folder / "keys"))
    assembly = assemble.assemble(files.read(["--config-file", str(folder / "apisvc.conf")]))
    service, ctx = assembly.services, context.system()
    try:
        layout.ensure(assembly.store, deadline=ctx.deadline)
        tenant = service.tenants.create(ctx, name="bench").result
        user = service.users.create(ctx, name="bench").result
        service.members.put(ctx, tenant.id, user.id, identity.Role.MEMBER)
        token = service.tokens.create(ctx, user.id, tokens.Grant(name="bench", admin=False)).result
        service.flavors.create(ctx, flavors.FlavorCreate(name="small", vcpus=1, ram_mb=64))
        service.images.create(ctx, images.ImageCreate(name="app", references={"fake": "app"}))
        asked = instances.InstanceCreate(
            image="app", flavor="small", labels={"stage": "test"}, env={"A": "b"}
        )
        instance = service.instances.create(ctx, tenant.id, asked).result
        _run(assembly.store, instance)
    finally:
        assembly.close()
    return f"/v1/tenants/{tenant.id}/instances/{instance.id}", token.text


def _run(store: storage.Store, instance: model.Instance) -> None:
    """What a worker would have written: it runs on a backend that is well, so reading it looks at both."""
    now = time.time()
    status = model.Status(state=model.State.ACTIVE, observed_generation=1, observed_at=now)
    room = backends.Room(vcpus=8.0, ram_mb=1000, disk_gb=100)
    health = backends.BackendHealth(
        name="made-up",
        healthy=True,
        since=now,
        checked_at=now,
        good_until=now + 3600,
        seen_at=now,
        capacity=backends.Capacity(at=now, nodes=16, total=room, free=room, rooms=(room,) * 16),
        instances=1,
    )
    running = msgspec.structs.replace(instance, status=status)
    place = keys.join(keys.INSTANCES, instance.tenant_id, instance.id)
    store.commit(
        [],
        [
            storage.Put(place, codec.encode(running)),
            storage.Put(keys.join(keys.BACKEND_HEALTH, "made-up"), codec.encode(health)),
        ],
    )


class _Gunicorn:
    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port

    def cpu(self) -> float:
        """Seconds of CPU that the master and its workers have used so far."""
        total = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # The name, in parentheses, can hold spaces.
                fields = stat.read_text().rpartition(")")[2].split()
                if self.process.pid in (int(stat.parent.name), int(fields[1])):
                    total += int(fields[11]) + int(fields[12])
        return total / _TICKS


@contextlib.contextmanager
def _gunicorn(
    app: str,
    folder: pathlib.Path,
    environment: dict[str, str],
    settings: Sequence[str] = ("--worker-class=gthread", "--threads=8", "--keep-alive=30"),
) -> Iterator[_Gunicorn]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", *settings, "--workers=2", "--log-level=warning"]
    command += [f"--bind=127.0.0.1:{port}", f"--chdir={folder}", app]
    with (folder / f"{app}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait(process, port, folder / f"{app}.log")
        yield _Gunicorn(process, port)
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: pathlib.Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"gunicorn did not start:\n{log.read_text()}")


class _Connection:
    """A kept-alive connection that sends the same request again and again."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        head, received = b"", b""
        while not head:
            received += self._more()
            head, found, body = received.partition(b"\r\n\r\n")
            head = head if found else b""
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(received.decode())
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        return body

    def _more(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise SystemExit("the server closed the connection")
        return chunk

    def close(self) -> None:
        self._socket.close()


def _get(port: int, request: bytes) -> bytes:
    connection = _Connection(port)
    try:
        return connection.ask(request)
    finally:
        connection.close()


def _drive(port: int, request: bytes, count: int, connections: int) -> None:
    """Send ``request`` ``count`` times over as many connections."""

    def work() -> None:
        connection = _Connection(port)
        for _ in range(count // connections):
            connection.ask(request)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
