"""The real node of a lab: kubelet, Debian's containerd and runc, and a network of its own.

It runs in namespaces of its own (see ``inside.py``), so that one kill ends all of it. Outside of them it has
a bridge and control groups, both named after the lab.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tools import places, processes
from tools.kubernetes import programs

if TYPE_CHECKING:
    from tools.kubernetes.lab import Lab

#: Its pods and its kubelet are on 10.244.N.0/24, each lab's with another N.
NETWORK = "10.244"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
#: What kubelet wants a group to have.
CONTROLLERS = {"cpu", "cpuset", "hugetlb", "memory", "pids"}
COMMANDS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2"}
#: The configuration of containerd; control groups are not ours to weigh where CAP_SYS_RESOURCE is missing.
CONTAINERD = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"
]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{programs}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}"
    conf_dir = "{folder}/cni"
"""


class Node:
    """The node of ``lab``; nothing happens before :meth:`up`."""

    def __init__(self, lab: "Lab") -> None:
        self.lab = lab
        self.folder = lab.folder / "node"
        #: Also of its control group and, with few letters, of its bridge.
        mark = hashlib.sha256(str(lab.folder).encode()).hexdigest()[:8]
        self.bridge = f"apk{mark}"
        self.group = f"apisvc-{mark}"
        self.socket = self.folder / "containerd.sock"

    def up(self) -> None:
        """Start what does not run yet, and wait until it takes pods."""
        self._require()
        made_of = programs.node()
        self.folder.mkdir(exist_ok=True)
        address = self._network()
        self._group()
        self._write(made_of, address)
        self.start("node")
        self.start("containerd")
        self.start("kubelet")
        self.wait_ready()

    def down(self, forget: bool = True) -> None:
        """Leave nothing of it. ``forget``: the cluster loses it too, where that can be asked."""
        for name in ("node", "containerd", "kubelet"):
            processes.kill(self.lab.folder, name)
        self._drop_groups()
        self._drop_network()
        if forget and (self.lab.folder / "lab.json").exists():
            with contextlib.suppress(OSError):
                self.lab.call("DELETE", f"/api/v1/nodes/{self.lab.node_name}")
        # What the kernel still unmounts is busy for a moment.
        places.wait(f"{self.folder} can be removed", self._removed, 30)

    # Its processes

    def start(self, name: str) -> None:
        """Start ``node`` (the first process of its namespaces), ``containerd`` or ``kubelet`` unless it runs."""
        if self.running(name):
            return
        command = getattr(self, f"_{name}")()
        environment = {**os.environ, "PATH": f"{programs.node().folder}:{os.environ.get('PATH', os.defpath)}"}
        processes.spawn(self.lab.folder, name, command, environment)
        if name == "node":
            places.wait(f"the node's namespaces ({self._logs(name)})", (self.folder / "inside").exists, 60)
        if name == "containerd":
            places.wait(f"containerd answers ({self._logs(name)})", self._import, 120)

    def kill(self, name: str) -> None:
        """SIGKILL; containers go on without containerd and kubelet, not without ``node``."""
        processes.kill(self.lab.folder, name, None if name == "node" else name)

    def running(self, name: str) -> bool:
        return (
            self._first() is not None if name == "node" else bool(processes.find(self.lab.folder, name, name))
        )

    def wait_ready(self) -> None:
        def ready() -> bool:
            # Under its own name or still that of nsenter.
            if not processes.find(self.lab.folder, "kubelet"):
                raise places.LabError(f"kubelet ended:\n{self.lab.log('kubelet')}")
            with contextlib.suppress(OSError):
                return self.lab.node_name in self.lab.ready_nodes()
            return False

        places.wait(f"the node {self.lab.node_name} is ready ({self._logs('kubelet')})", ready, 240)

    def _logs(self, name: str) -> str:
        return f"see {self.lab.folder}/log/{name}.log"

    def _node(self) -> list[str]:
        (self.folder / "inside").unlink(missing_ok=True)
        apart = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ]
        return [*apart, sys.executable, str(pathlib.Path(__file__).with_name("inside.py")), str(self.folder)]

    def _first(self) -> int | None:
        """The process that is number 1 inside, by its number outside."""
        for process in processes.find(self.lab.folder, "node"):
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{process}/status").read_text()
                if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()):
                    return process
        return None

    def _enter(self) -> list[str]:
        """What runs a command inside."""
        first = self._first()
        if first is None:
            raise places.LabError(f"the node of {self.lab.name} is not up ({self._logs('node')})")
        return ["nsenter", f"--target={first}", "--mount", "--pid"]

    def _containerd(self) -> list[str]:
        self.socket.unlink(missing_ok=True)
        return [
            *self._enter(),
            programs.node().path("containerd"),
            "-c",
            str(self.folder / "containerd.toml"),
        ]

    def _kubelet(self) -> list[str]:
        kubeconfig = self.lab.folder / f"{self.lab.node_name}.kubeconfig"
        options = [f"--config={self.folder}/kubelet.json", f"--kubeconfig={kubeconfig}"]
        options += [f"--root-dir={self.folder}/kubelet", f"--cert-dir={self.folder}/kubelet/pki"]
        options += [f"--hostname-override={self.lab.node_name}", f"--node-ip={self._address()}", "--v=2"]
        if self.lab.made_of.minor < 27:
            options += ["--container-runtime=remote", f"--container-runtime-endpoint=unix://{self.socket}"]
            options += [f"--volume-plugin-dir={self.folder}/plugins"]
        return [*self._enter(), self.lab.made_of.path("kubelet"), *options]

    def _import(self) -> bool:
        """Give containerd the image; False while it does not listen."""
        command = [programs.node().path("ctr"), f"--address={self.socket}", "--namespace=k8s.io"]
        command += ["images", "import", programs.node().path("image.tar")]
        return subprocess.run([*self._enter(), *command], capture_output=True, timeout=120).returncode == 0

    # Its files

    def _write(self, made_of: programs.Programs, address: str) -> None:
        containerd = CONTAINERD.format(
            folder=self.folder, socket=self.socket, programs=made_of.folder, pause=programs.IMAGES[0]
        )
        (self.folder / "containerd.toml").write_text(containerd)
        (self.folder / "cni").mkdir(exist_ok=True)
        subnet = f"{address.rpartition('.')[0]}.0/24"
        addresses = {"type": "host-local", "dataDir": f"{self.folder}/ipam", "ranges": [[{"subnet": subnet}]]}
        # No gateway: then the plug-in leaves the machine's forwarding alone, and pods reach nothing but the node.
        bridge = {"type": "bridge", "bridge": self.bridge, "ipMasq": False, "ipam": addresses}
        network = {"cniVersion": "0.4.0", "name": "lab", "plugins": [bridge]}
        (self.folder / "cni" / "lab.conflist").write_text(json.dumps(network))
        (self.folder / "kubelet.json").write_text(json.dumps(self._settings(address)))

    def _settings(self, address: str) -> dict[str, object]:
        minor = self.lab.made_of.minor
        authorities = {"clientCAFile": str(self.lab.authority)}
        settings: dict[str, object] = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": address,
            "port": 10250,
            "healthzPort": 0,
            "readOnlyPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": authorities,
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.group}",
            "clusterDNS": ["10.0.0.10"],
            "clusterDomain": "cluster.local",
            "resolvConf": "",
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "evictionHard": {"memory.available": "50Mi"},
            "imageGCHighThresholdPercent": 100,
            "nodeStatusUpdateFrequency": "4s",
            "nodeLeaseDurationSeconds": 16,
            "syncFrequency": "5s",
            "maxPods": 200,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
        }
        if minor >= 27:
            settings["containerRuntimeEndpoint"] = f"unix://{self.socket}"
            settings["volumePluginDir"] = f"{self.folder}/plugins"
        if minor >= 31:
            settings["failCgroupV1"] = False
        return settings

    # What is outside its namespaces

    def _require(self) -> None:
        if sys.platform != "linux" or os.getuid() != 0:
            raise places.LabError("a real node takes root on Linux; set KUBECONFIG to a cluster that has one")
        for command, package in COMMANDS.items():
            if not shutil.which(command):
                raise places.LabError(f"there is no command {command!r} (Debian: {package})")
        for path in (self.folder, programs.node().folder):
            if path.is_relative_to("/var") or path.is_relative_to("/run"):
                raise places.LabError(
                    f"{path} is in a folder that the node has of its own; set TMPDIR and APISVC_CACHE to others"
                )

    def _network(self) -> str:
        """The bridge's address, which is the node's; made where it is not there yet."""
        with places.locked(places.cache("kubernetes") / "network.lock"):
            if found := self._address():
                return found
            taken = {a["local"] for link in _ip("-j", "address") for a in link["addr_info"] if "local" in a}
            for number in range(1, 255):
                if not any(address.startswith(f"{NETWORK}.{number}.") for address in taken):
                    break
            else:
                raise places.LabError(f"every network of {NETWORK}.0.0/16 is in use")
            _ip("link", "delete", self.bridge, check=False)
            _ip("link", "add", self.bridge, "type", "bridge")
            _ip("address", "add", f"{NETWORK}.{number}.1/24", "dev", self.bridge)
            _ip("link", "set", self.bridge, "up")
            return f"{NETWORK}.{number}.1"

    def _address(self) -> str:
        """Of the bridge, if it is there and whole."""
        for link in _ip("-j", "address", "show", "dev", self.bridge, check=False):
            for address in link.get("addr_info", ()):
                if address["family"] == "inet" and "UP" in link["flags"]:
                    return str(address["local"])
        return ""

    def _drop_network(self) -> None:
        if not shutil.which("ip"):
            return

        def ports() -> list[str]:
            found = _ip("-j", "link", "show", "master", self.bridge, check=False)
            return [link["ifname"] for link in found if "ifname" in link]

        # Those of pods go with their namespaces, which the kernel takes its time for.
        end = time.monotonic() + 5
        while ports() and time.monotonic() < end:
            time.sleep(0.1)
        for port in ports():
            _ip("link", "delete", port, check=False)
        _ip("link", "delete", self.bridge, check=False)

    def _hierarchies(self) -> list[pathlib.Path]:
        """Where control groups are made: one place with version 2, one for each controller with version 1."""
        if (CGROUPS / "cgroup.controllers").exists():
            return [CGROUPS]
        return [folder for folder in CGROUPS.iterdir() if folder.is_dir() and not folder.is_symlink()]

    def _group(self) -> None:
        for hierarchy in self._hierarchies():
            if (available := hierarchy / "cgroup.controllers").exists() and hierarchy == CGROUPS:
                # Version 2 gives a new group the controllers that its parent hands on.
                wanted = CONTROLLERS & set(available.read_text().split())
                (hierarchy / "cgroup.subtree_control").write_text(" ".join(f"+{one}" for one in wanted))
            (hierarchy / self.group).mkdir(exist_ok=True)
            if hierarchy.name == "cpuset":
                # Version 1 gives a new group neither processors nor memory.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (hierarchy / self.group / name).write_text((hierarchy / name).read_text())

    def _drop_groups(self) -> None:
        if not CGROUPS.exists():
            return
        groups = [hierarchy / self.group for hierarchy in self._hierarchies()]

        def gone() -> bool:
            for group in groups:
                for folder, _, _ in os.walk(group, topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(folder)
            return not any(group.exists() for group in groups)

        places.wait(f"the control groups {self.group} are gone", gone, 60)

    def _removed(self) -> bool:
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()


def _ip(*arguments: str, check: bool = True) -> list[dict[str, Any]]:
    """What ``ip`` answered, with ``-j``; with ``check=False`` nothing when it refused."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=60)
    if done.returncode and check:
        raise places.LabError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    found: list[dict[str, Any]] = json.loads(done.stdout) if done.stdout.startswith("[") else []
    return found
