"""The programs: OpenStack's services from PyPI in a venv, RabbitMQ and MariaDB from Debian's packages.

The packages are unpacked, not installed: the system's own services are not touched, and root is needed only
where the package lists were never fetched. All of it is in one folder of the cache.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from tools import places
from tools.openstack import layout

#: With them come the libraries that the system lacks.
PACKAGES = ("rabbitmq-server", "mariadb-server-core")
#: Unpacked also where the system has them: they look for each other in one folder.
ALWAYS = (
    *PACKAGES,
    "erlang-base",
    *(
        f"erlang-{part}"
        for part in [
            "asn1",
            "crypto",
            "eldap",
            "ftp",
            "inets",
            "mnesia",
            "os-mon",
            "parsetools",
            "public-key",
            "runtime-tools",
            "snmp",
            "ssl",
            "syntax-tools",
            "tftp",
            "tools",
            "xmerl",
        ]
    ),
)
MADE_OF = ("requirements.txt", "constraints.txt", "install.py")


def installed() -> pathlib.Path:
    """The folder with ``venv`` and ``debian``; made first where it is not there yet."""
    made = places.cache("openstack") / layout.made_of(*MADE_OF)
    with places.locked(places.cache("openstack") / "install.lock"):
        if not (made / "complete").exists():
            # A venv bears its own path, so it is made in its place; the last file says that it is whole.
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            _unpack(made / "debian")
            _venv(made / "venv")
            _forget_old()
        (made / "complete").write_text(sys.version)
    return made


def _forget_old() -> None:
    """What nobody has used for a month."""
    for complete in places.cache("openstack").glob("*/complete"):
        if complete.stat().st_mtime < time.time() - 30 * 86400:
            shutil.rmtree(complete.parent)


def _venv(folder: pathlib.Path) -> None:
    print(f"installing OpenStack from PyPI into {folder}", flush=True)
    # Not of the venv that this may run in, which may be gone tomorrow.
    _run([sys._base_executable or sys.executable, "-m", "venv", str(folder)], 300)  # type: ignore[attr-defined]
    requirements = ["-r", str(layout.HERE / "requirements.txt"), "-c", str(layout.HERE / "constraints.txt")]
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
    _run([*pip, *requirements], 1800)


def _unpack(folder: pathlib.Path) -> None:
    print(f"unpacking RabbitMQ and MariaDB into {folder}", flush=True)
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise places.LabError(
            "RabbitMQ and MariaDB come from Debian's packages, and this system has no apt-get"
        )
    archives = folder.with_name("archives")
    (archives / "partial").mkdir(parents=True)
    _fetch(archives)
    folder.mkdir()
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg", "-x", str(archive), str(folder)], 120)
    shutil.rmtree(archives)
    # Debian's has the path of an installed Erlang in it.
    erl = folder / "usr/lib/erlang/bin/erl"
    erl.write_text(re.sub(r"ROOTDIR=/usr/lib/erlang", f"ROOTDIR={folder}/usr/lib/erlang", erl.read_text()))


def _fetch(archives: pathlib.Path) -> None:
    # As the user who this is: apt's own cannot write here.
    options = ["-q", "-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1"]
    options += ["-o", "APT::Sandbox::User="]
    missing = ["apt-get", "install", "-y", "--no-install-recommends", "--download-only", *options, *PACKAGES]
    try:
        _run(missing, 600)
    except places.LabError:
        if os.getuid() != 0:
            raise
        # The lists may be old, or were never fetched.
        _run(["apt-get", "update", "-q"], 600)
        _run(missing, 600)
    have = {archive.name.split("_")[0] for archive in archives.glob("*.deb")}
    if rest := [package for package in ALWAYS if package not in have]:
        _run(["apt-get", "download", *options, *rest], 600, cwd=archives)


def libraries(installed: pathlib.Path) -> str:
    """The LD_LIBRARY_PATH of the unpacked programs."""
    folders = sorted((installed / "debian" / "usr" / "lib").glob("*-linux-gnu*"))
    return os.pathsep.join(map(str, folders))


def _run(command: Sequence[str], seconds: float, cwd: pathlib.Path | None = None) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise places.LabError(f"{' '.join(command)}\n{done.stdout[-4000:]}\nended with {done.returncode}")
