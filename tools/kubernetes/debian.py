"""What comes from Debian: programs of its packages, unpacked beside the system's, and an old Kubernetes.

Kubernetes 1.20 is what Debian 12 has as source. It is for machines without Go.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from tools import places

#: What Debian's Kubernetes is built with.
GO = "1.19"
VERSION = ("1", "20", "2")
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")


def unpack(packages: Sequence[str], folder: pathlib.Path) -> None:
    """Unpack Debian ``packages`` into ``folder``; nothing is installed."""
    with tempfile.TemporaryDirectory(prefix="apisvc-lab-") as archives:
        _fetch(["download", *packages], pathlib.Path(archives))
        folder.mkdir(parents=True, exist_ok=True)
        for archive in sorted(pathlib.Path(archives).glob("*.deb")):
            _run(["dpkg", "-x", str(archive), str(folder)], folder)


def build(folder: pathlib.Path) -> None:
    """Build Kubernetes 1.20 and take etcd, with Debian's packages alone."""
    print(
        f"building Kubernetes {'.'.join(VERSION)} into {folder}: on two cores that takes 10 minutes",
        flush=True,
    )
    # In the folder itself, so that nothing stays of a build that is killed.
    top = folder / "scratch"
    top.mkdir()
    reflect = "golang-github-modern-go-reflect2-dev"
    unpack((f"golang-{GO}-go", f"golang-{GO}-src", reflect, "etcd-server"), top / "debian")
    source = top / "gopath/src/k8s.io/kubernetes"
    source.parent.mkdir(parents=True)
    _source(top / "source", source)
    vendored = source / "vendor/github.com/modern-go/reflect2"
    # The vendored one breaks maps under Go 1.18 and later.
    shutil.rmtree(vendored)
    shutil.copytree(top / "debian/usr/share/gocode/src/github.com/modern-go/reflect2", vendored)
    root = top / f"debian/usr/lib/go-{GO}"
    environment = {
        **os.environ,
        "PATH": f"{root / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "GOROOT": str(root),
        "GOPATH": str(top / "gopath"),
        "GOCACHE": str(top / "gocache"),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
    }
    _generate(source, top, environment)
    named = dict(zip(("gitMajor", "gitMinor"), VERSION, strict=False))
    named["gitVersion"] = f"v{'.'.join(VERSION)}"
    vendor = "k8s.io/kubernetes/vendor/"
    rooms = [
        f"{p}{r}"
        for p in ("", vendor)
        for r in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    ]
    stamped = " ".join(f"-X {room}.{name}={value}" for room in rooms for name, value in named.items())
    for command in COMMANDS:
        target = ["-o", str(folder / command), f"./cmd/{command}"]
        _run(["go", "build", "-trimpath", "-ldflags", f"-s -w {stamped}", *target], source, environment)
    shutil.copy2(top / "debian/usr/bin/etcd", folder / "etcd")
    shutil.rmtree(top)


def _source(archives: pathlib.Path, folder: pathlib.Path) -> None:
    """Unpack the source package ``kubernetes`` as ``folder``, with an apt of our own: most have no sources."""
    lists = archives / "lists"
    (lists / "partial").mkdir(parents=True)
    said = _run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"], archives
    )
    mirrors = [line.split() for line in said.splitlines() if line.split()[1:] == ["bookworm"]]
    if not mirrors:
        raise places.LabError("Kubernetes 1.20 comes from Debian 12 (bookworm), which apt does not know here")
    (archives / "sources.list").write_text(f"deb-src {mirrors[0][0]} bookworm main\n")
    (archives / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{archives}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::Lists "{lists}"; APT::Sandbox::User "root";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(archives / "apt.conf")}
    _run(["apt-get", "-qq", "update"], archives, environment)
    _run(["apt-get", "-qq", "source", "--download-only", "kubernetes"], archives, environment)
    _run(["dpkg-source", "-x", str(next(archives.glob("kubernetes_*.dsc"))), str(folder)], archives)


def _generate(source: pathlib.Path, top: pathlib.Path, environment: Mapping[str, str]) -> None:
    """Write the one generated file that the source package lacks."""
    generator = str(top / "openapi-gen")
    _run(
        ["go", "build", "-o", generator, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen"], source, environment
    )
    marked = [
        "grep",
        "-rl",
        "--include=*.go",
        "+k8s:openapi-gen=",
        "pkg",
        "cmd",
        "plugin",
        "staging/src/k8s.io",
    ]
    left_out = (
        "code-generator/",
        "sample-apiserver/",
        "sample-controller/",
        "/testdata/",
        "zz_generated",
        "_test.go",
    )
    files = [f for f in _run(marked, source).split() if not any(part in f for part in left_out)]
    folders = {os.path.dirname(f).replace("staging/src/", "vendor/", 1) for f in files}
    inputs = ",".join(f"k8s.io/kubernetes/{folder}" for folder in sorted(folders))
    target = ["-p", "k8s.io/kubernetes/pkg/generated/openapi", "-O", "zz_generated.openapi"]
    header = ["-h", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt", "-r", str(top / "violations")]
    _run([generator, "-i", inputs, *target, *header], source, environment)


def _fetch(arguments: Sequence[str], folder: pathlib.Path) -> None:
    """apt-get, once more with new lists where it does not know a package."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise places.LabError(
            f"{' '.join(arguments[1:])} come from Debian's packages, and this system has no apt-get; "
            "set KUBECONFIG to a cluster, such as one of minikube or kind"
        )
    # As root it would go down to a user who cannot write here.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    try:
        _run(command, folder)
    except places.LabError:
        if os.getuid() != 0:
            raise
        _run(["apt-get", "-q", "update"], folder)
        _run(command, folder)


def _run(command: Sequence[str], folder: pathlib.Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        raise places.LabError(f"{' '.join(command)[:200]}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
