"""Where the lab keeps what: the cache that outlives it, and the folder of one running lab."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import random
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent
#: In the environment of every process of a lab: its folder. It is also how another folder is chosen.
FOLDER = "APISVC_OPENSTACK_LAB"
#: What listens, each on a port of its own.
LISTENERS = (
    "keystone",
    "placement",
    "glance",
    "neutron",
    "nova-api",
    "rabbitmq",
    "rabbitmq-peers",
    "epmd",
    "mariadb",
)
#: The hosts that nova-compute speaks for.
HOSTS = ("lab1", "lab2")


class LabError(Exception):
    """What went wrong, in words for the person at the terminal."""


def cache() -> pathlib.Path:
    """The folder of everything that is kept between runs."""
    if chosen := os.environ.get("APISVC_CACHE"):
        return pathlib.Path(chosen).absolute() / "openstack"
    base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(base).absolute() / "apisvc" / "openstack"


def key(*names: str) -> str:
    """Of this Python and of the content of files beside this one: what is made of them is kept under it."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    for name in names:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def folder() -> pathlib.Path:
    """Of the lab of this checkout and user, or the one that the environment names."""
    if chosen := os.environ.get(FOLDER):
        return pathlib.Path(chosen).absolute()
    checkout = hashlib.sha256(str(HERE).encode()).hexdigest()[:8]
    return pathlib.Path(tempfile.gettempdir()) / f"apisvc-openstack-{os.getuid()}-{checkout}"


@contextlib.contextmanager
def locked(path: pathlib.Path, remove: bool = False) -> Iterator[None]:
    """Alone among processes, for as long as they live; ``remove``: the file is gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it may have removed it meanwhile: then this is the lock of a file that nobody sees.
            if not _is(path, file.fileno()):
                continue
            try:
                yield
            finally:
                if remove:
                    path.unlink(missing_ok=True)
            return


def _is(path: pathlib.Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class Lab:
    """One lab: its folder, ports and passwords, chosen when the folder is made."""

    def __init__(self, folder: pathlib.Path, installed: pathlib.Path) -> None:
        self.folder = folder
        #: Where the programs are.
        self.installed = installed
        made = json.loads((folder / "lab.json").read_text())
        self.ports: dict[str, int] = made["ports"]
        #: Of the admin, of the services' user, of the database and of the broker.
        self.passwords: dict[str, str] = made["passwords"]

    @staticmethod
    def lay(folder: pathlib.Path, prepared: pathlib.Path | None = None) -> None:
        """The empty ``folder`` becomes a lab's, with ports that are free now.

        ``prepared``: one whose databases, keys and passwords it takes over.
        """
        if prepared is None:
            passwords = {who: secrets.token_hex(16) for who in ("admin", "services", "database", "broker")}
        else:
            passwords = json.loads((prepared / "lab.json").read_text())["passwords"]
            for name in ("mariadb", "keys"):
                shutil.copytree(prepared / name, folder / name)
        for name in ("etc", "log", "tmp", "keys"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        # Last, and at once: with it, the folder is a lab's.
        draft = folder / "lab.json.new"
        draft.write_text(json.dumps({"ports": ports, "passwords": passwords}))
        draft.replace(folder / "lab.json")

    @property
    def clouds(self) -> pathlib.Path:
        """The clouds.yaml of its admin."""
        return self.folder / "etc" / "clouds.yaml"

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def database(self, name: str) -> str:
        """The URL of a database."""
        password, port = self.passwords["database"], self.ports["mariadb"]
        return f"mysql+pymysql://openstack:{password}@127.0.0.1:{port}/{name}?charset=utf8mb4"

    @property
    def broker(self) -> str:
        return f"rabbit://openstack:{self.passwords['broker']}@127.0.0.1:{self.ports['rabbitmq']}/"

    def program(self, name: str) -> str:
        """The path of a command of the services."""
        return str(self.installed / "venv" / "bin" / name)


def free_ports(count: int) -> list[int]:
    """Below those that the system hands out itself, for they must still be free when a service is restarted."""
    found: list[int] = []
    for port in random.sample(range(16000, 32000), 4000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
            if len(found) == count:
                return found
    raise LabError("there are no free ports between 16000 and 32000")
