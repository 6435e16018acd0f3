"""A cluster whose members can be cut off from each other, but not from their clients.

Each member is in a network namespace of its own, on a bridge with the test.
That takes root on Linux, and ``ip``; :func:`missing` says what is not there.
"""

import os
import pathlib
import random
import shutil
import subprocess

from tests_etcd import cluster


def missing() -> str | None:
    """Why there can be no such cluster here, or None."""
    if not shutil.which("ip"):
        return "there is no command 'ip' (Debian: iproute2)"
    name = f"ap{os.getpid() % 100000}try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "exec", name, "true")
        _ip("netns", "delete", name)
        _ip("link", "add", name, "type", "bridge")
        _ip("link", "delete", name)
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted: {error.stderr.strip()}"
    return None


def _add_bridge() -> int:
    """Make a bridge that no other test has, of this process or of another; its number."""
    for number in random.sample(range(250), 250):
        try:
            _ip("link", "add", f"apbr{number}", "type", "bridge")
        except subprocess.CalledProcessError as error:
            if "File exists" not in error.stderr:
                raise
        else:
            return number
    raise AssertionError("250 bridges of earlier tests are left: ip link delete apbr0, and so on")


class Member(cluster.Member):
    """A member in the namespace ``space``."""

    def __init__(self, name: str, folder: pathlib.Path, host: str, space: str) -> None:
        super().__init__(name, folder, [2379, 2380], "http", host)
        self.space = space
        self.before = ("ip", "netns", "exec", space)


class Cluster(cluster.Cluster):
    """Members at 10.213.x.10 and up; the test is at 10.213.x.1."""

    members: list[Member]  # type: ignore[assignment]

    def make_members(self, folder: pathlib.Path) -> list[cluster.Member]:
        number = _add_bridge()
        net, bridge = f"10.213.{number}", f"apbr{number}"
        self.addCleanup(_ip, "link", "delete", bridge)
        _ip("address", "add", f"{net}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        made: list[cluster.Member] = []
        for index in range(self.size):
            space, here, there = f"ap{number}m{index}", f"ap{number}h{index}", f"ap{number}t{index}"
            _ip("netns", "add", space)
            self.addCleanup(_ip, "netns", "delete", space)
            _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", space)
            _ip("link", "set", here, "master", bridge, "up")
            host = f"{net}.{10 + index}"
            _ip("-netns", space, "address", "add", f"{host}/24", "dev", there)
            _ip("-netns", space, "link", "set", there, "up")
            _ip("-netns", space, "link", "set", "lo", "up")
            made.append(Member(f"m{index}", folder, host, space))
        return made

    def cut_off(self, member: Member) -> None:
        """Nothing passes between it and the other members, silently."""
        self._routes("add", member)

    def heal(self, member: Member) -> None:
        self._routes("delete", member)

    def _routes(self, verb: str, member: Member) -> None:
        for other in self.members:
            if other is not member:
                _ip("-netns", member.space, "route", verb, "blackhole", f"{other.host}/32")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)
