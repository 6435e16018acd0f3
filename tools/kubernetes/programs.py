"""The programs: Kubernetes, etcd and kwok built from their Go modules, and what a node needs from Debian.

``binaries/go.mod`` names them as tools, with their versions. Where there is no Go that is new enough,
``debian.py`` builds the old Kubernetes of Debian's source package instead.
"""

import dataclasses
import functools
import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable

from tools import places
from tools.kubernetes import debian, image

HERE = pathlib.Path(__file__).resolve().parent
MODULE = HERE / "binaries"
#: ``go`` or ``debian`` says where the programs have to come from.
CHOICE = "APISVC_TEST_KUBERNETES"
#: The names under which a node knows its one image; the first is what pods are held together by.
IMAGES = ("docker.io/library/pause:local", "docker.io/library/busybox:1", "docker.io/library/busybox:2")
#: The lifecycle that kwok plays, from its module.
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


@dataclasses.dataclass(frozen=True)
class Programs:
    """A folder of programs."""

    folder: pathlib.Path

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def path(self, name: str) -> str:
        if not self.has(name):
            raise places.LabError(f"there is no {name} in {self.folder}: it comes with Go only")
        return str(self.folder / name)

    @functools.cached_property
    def minor(self) -> int:
        """37 is Kubernetes 1.37."""
        said = subprocess.run(
            [self.path("kube-apiserver"), "--version"], capture_output=True, text=True, timeout=60, check=True
        )
        return int(said.stdout.split(".")[1])


def kubernetes() -> Programs:
    """Servers, kubelet, etcd and, with Go, kwok; built first where they are not there yet."""
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "go", "debian"):
        raise places.LabError(f"{CHOICE} is {choice!r}; it can be 'go' or 'debian'")
    lacking = _go_lacks() if choice != "debian" else f"{CHOICE} says so"
    if choice == "go" and lacking:
        raise places.LabError(lacking)
    if lacking:
        print(f"Kubernetes 1.20 from Debian's source package, not the current release: {lacking}", flush=True)
        return Programs(_kept("debian", (HERE / "debian.py").read_bytes(), debian.build))
    recipe = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return Programs(_kept("go", recipe + " ".join((*_flags(), *STAGES)).encode(), _build))


def node() -> Programs:
    """containerd, runc, the network plug-ins and the image, of this system's Debian packages."""
    folder = _kept("node", b"".join((HERE / n).read_bytes() for n in ("debian.py", "image.py")), _node)
    return Programs(folder)


def _node(folder: pathlib.Path) -> None:
    unpacked = folder / "debian"
    debian.unpack(("containerd", "runc", "containernetworking-plugins", "busybox-static"), unpacked)
    for part in ("usr/bin", "usr/sbin", "usr/lib/cni"):
        for program in (unpacked / part).iterdir():
            program.rename(folder / program.name)
    image.write(unpacked / "bin" / "busybox", folder / "image.tar", IMAGES)
    shutil.rmtree(unpacked)


def _kept(kind: str, recipe: bytes, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """The folder that ``make`` fills, of the cache; whole or not there at all."""
    base = places.cache("kubernetes")
    folder = base / f"{kind}-{places.key(recipe, os.uname().machine.encode())}"
    with places.locked(base / f"{kind}.lock", f"waiting for another process that makes {folder}"):
        if not folder.exists():
            # Only whoever holds the lock makes one, so a half one is of somebody who was killed.
            for half in base.glob(f"{kind}-*.half"):
                shutil.rmtree(half)
            half = folder.with_name(f"{folder.name}.half")
            half.mkdir()
            begun = time.monotonic()
            make(half)
            half.rename(folder)
            print(f"made {folder} in {time.monotonic() - begun:.0f} s", flush=True)
    return folder


def _go_lacks() -> str:
    """Why Go cannot build the module, or nothing."""
    if not shutil.which("go"):
        return "there is no Go"
    # Asked inside the module, for there Go says whether it is new enough, or can fetch one that is.
    said = subprocess.run(["go", "env", "GOVERSION"], cwd=MODULE, capture_output=True, text=True, timeout=300)
    return said.stderr.strip() if said.returncode else ""


def _version() -> tuple[str, ...]:
    found = re.search(r"k8s\.io/kubernetes v(\d+)\.(\d+)\.(\d+)", (MODULE / "go.mod").read_text())
    assert found is not None
    return found.groups()


def _flags() -> list[str]:
    major, minor, patch = _version()
    # Without it the servers do not know their own version. Symbols are for debuggers; linking is quicker without.
    named = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    rooms = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamped = " ".join(f"-X {room}.{name}={value}" for room in rooms for name, value in named.items())
    return ["-trimpath", "-buildvcs=false", f"-ldflags=-s -w {stamped}"]


def _build(folder: pathlib.Path) -> None:
    print(
        f"building Kubernetes {'.'.join(_version())}, etcd and kwok into {folder}: on two cores that takes "
        "15 minutes, the first time",
        flush=True,
    )
    _go("build", *_flags(), f"-o={folder}/", *_go("list", "tool").split())
    (folder / "server").rename(folder / "etcd")
    stages = pathlib.Path(_go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip()) / "kustomize/stage"
    files = [file for stage in STAGES for file in sorted((stages / stage).glob("*.yaml"))]
    texts = [file.read_text() for file in files if file.name != "kustomization.yaml"]
    (folder / "stages.yaml").write_text("\n---\n".join(texts))


def _go(*arguments: str) -> str:
    """What ``go`` printed. What it has compiled it keeps itself, so a build that was killed goes on."""
    environment = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(
        ["go", *arguments], cwd=MODULE, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise places.LabError(f"go {arguments[0]} in {MODULE} failed, as it says above")
    return done.stdout
