"""What a lab consists of: its folder, ports and passwords."""

import contextlib
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import sys
import tempfile

from tools import places

HERE = pathlib.Path(__file__).resolve().parent
#: In the environment: the folder of the lab that is meant, instead of this checkout's.
FOLDER = "APISVC_OPENSTACK_LAB"
#: What listens, each on a port of its own.
LISTENERS = (
    "keystone",
    "placement",
    "glance",
    "neutron",
    "nova-api",
    "cinder-api",
    "rabbitmq",
    "rabbitmq-peers",
    "epmd",
    "mariadb",
)
#: The hosts that nova-compute speaks for.
HOSTS = ("lab1", "lab2")


def made_of(*names: str) -> str:
    """The key of what is made of this Python and of files beside this one."""
    contents = [(HERE / name).read_bytes() for name in names]
    return places.key(f"{sys.version} {sys.base_prefix}".encode(), *contents)


def folder() -> pathlib.Path:
    """Of the lab of this checkout and user, or the one that the environment names."""
    if chosen := os.environ.get(FOLDER):
        return pathlib.Path(chosen).absolute()
    checkout = hashlib.sha256(str(HERE).encode()).hexdigest()[:8]
    return pathlib.Path(tempfile.gettempdir()) / f"apisvc-openstack-{os.getuid()}-{checkout}"


def alone(folder: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """The lock of a lab. It is in the cache, for of a lab nothing is left."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return places.locked(places.cache("openstack") / "locks" / name, f"waiting for another in {folder}")


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
        ports = dict(zip(LISTENERS, places.free_ports(len(LISTENERS)), strict=True))
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
