"""One cluster of the lab: etcd and Kubernetes' own servers on loopback, with kwok's nodes or a real one.

All that it has is in one folder, and its processes are found by what they bear in their environment, so
whatever was killed, :meth:`Lab.down` finds the rest.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from tools import places, processes
from tools.kubernetes import keys, programs

#: Who there is, and in which groups.
USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "kwok": "system:masters",
    # May do nothing until a test binds a role to it.
    "apisvc": "",
}
#: Started in this order.
SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
#: A machine with other work to do may need this long, in seconds.
PATIENCE = 240.0


def root() -> pathlib.Path:
    """The folder of all labs of this user."""
    return pathlib.Path(tempfile.gettempdir()).absolute() / f"apisvc-kubernetes-{os.getuid()}"


class Lab:
    """A cluster by its name; several stand side by side. Nothing happens before :meth:`up`."""

    def __init__(self, name: str = "lab") -> None:
        self.name = name
        self.folder = root() / name
        self._owned: Any = None

    # What it is made of

    @property
    def _made(self) -> dict[str, Any]:
        try:
            made: dict[str, Any] = json.loads((self.folder / "lab.json").read_text())
        except FileNotFoundError:
            raise places.LabError(f"the lab {self.name!r} is not up: there is no {self.folder}") from None
        return made

    @property
    def made_of(self) -> programs.Programs:
        return programs.Programs(pathlib.Path(self._made["programs"]))

    @property
    def etcd(self) -> str:
        """The address of the cluster's etcd."""
        return f"http://127.0.0.1:{self._made['ports'][1]}"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self._made['ports'][0]}"

    @property
    def authority(self) -> pathlib.Path:
        """The certificate that the API server's is signed by."""
        return self.folder / "keys" / "ca.crt"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """Of its admin."""
        return self.folder / "admin.kubeconfig"

    @property
    def node_name(self) -> str:
        """Of its real node."""
        return f"{self.name}-node"

    def token(self, user: str) -> str:
        return str(self._made["tokens"][user])

    # Up and down

    def up(self, options: Mapping[str, Sequence[str]] | None = None) -> None:
        """Start what does not run yet, and wait until it serves. ``options``: more for a server, by its name."""
        if not (self.folder / "lab.json").exists():
            # What a start left that was killed in the middle.
            self._clear()
            self._lay(programs.kubernetes(), options or {})
        for name in SERVERS:
            self.start(name)
        places.wait("the default service account", self._has_account, PATIENCE)

    def own(self) -> None:
        """Tie it to this process: once that is gone, :func:`sweep` takes the lab away."""
        with _owners():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owned = (self.folder / "owner").open("a")
            fcntl.flock(self._owned, fcntl.LOCK_EX)

    def down(self) -> None:
        """Leave nothing of it, however much of it is left."""
        self._clear()
        with _owners():
            if self.folder.exists():
                shutil.rmtree(self.folder)
            with contextlib.suppress(OSError):
                root().rmdir()  # the last one
        if self._owned is not None:
            self._owned.close()
            self._owned = None

    def _clear(self) -> None:
        """End its processes; nothing but the mark of its owner stays in its folder."""
        from tools.kubernetes import node

        node.Node(self).down(forget=False)
        processes.kill(self.folder)
        for path in self.folder.iterdir() if self.folder.exists() else ():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "owner":
                path.unlink()

    def _lay(self, made_of: programs.Programs, options: Mapping[str, Sequence[str]]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "log").mkdir()
        keys.make(self.folder / "keys")
        users = {**USERS, f"system:node:{self.node_name}": "system:nodes"}
        made: dict[str, Any] = {
            "programs": str(made_of.folder),
            # Of the API server, etcd's clients, etcd's peers, kwok.
            "ports": places.free_ports(4),
            "tokens": {user: secrets.token_hex(16) for user in users},
            "options": {name: list(more) for name, more in options.items()},
        }
        lines = [f'{made["tokens"][user]},{user},{user},"{groups}"\n' for user, groups in users.items()]
        (self.folder / "tokens.csv").write_text("".join(lines))
        draft = self.folder / "lab.json.new"
        draft.write_text(json.dumps(made))
        draft.rename(self.folder / "lab.json")
        for user in users:
            path = self.folder / f"{user.rpartition(':')[2]}.kubeconfig"
            path.write_text(json.dumps(self.kubeconfig_for({"token": self.token(user)})))

    def kubeconfig_for(self, user: Mapping[str, str]) -> dict[str, Any]:
        """A kubeconfig, for ``user`` as it stands there: ``{"token": ...}``, ``{"tokenFile": ...}``."""
        cluster = {"server": self.server, "certificate-authority": str(self.authority)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": self.name, "user": dict(user)}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "current-context": self.name,
        }

    # Its processes

    def start(self, name: str) -> None:
        """Start the server ``name`` unless it runs, and wait until it serves."""
        if not processes.find(self.folder, name):
            processes.spawn(self.folder, name, self._command(name), os.environ)
        if name == "kube-apiserver":
            self.wait_ready()

    def kill(self, name: str) -> None:
        """SIGKILL."""
        processes.kill(self.folder, name)

    def wait_ready(self) -> None:
        """Until the API server serves; LabError with the end of its log when it does not."""

        def ready() -> bool:
            if not processes.find(self.folder, "kube-apiserver"):
                raise places.LabError(f"kube-apiserver ended:\n{self.log('kube-apiserver')}")
            with contextlib.suppress(OSError):
                return bool(self.call("GET", "/readyz") == "ok")
            return False

        places.wait(f"{self.name}'s API server is ready (see {self.folder}/log)", ready, PATIENCE)

    def log(self, name: str) -> str:
        """The end of what a process of it said."""
        path = self.folder / "log" / f"{name}.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def _command(self, name: str) -> list[str]:
        more = self._made["options"].get(name, [])
        program = self.made_of.path(name)
        return [program, *getattr(self, f"_{name.removeprefix('kube-').replace('-', '_')}")(), *more]

    def _etcd(self) -> list[str]:
        here, there = self.etcd, f"http://127.0.0.1:{self._made['ports'][2]}"
        serves = [f"--listen-client-urls={here}", f"--advertise-client-urls={here}"]
        serves += [f"--listen-peer-urls={there}", f"--initial-advertise-peer-urls={there}"]
        # What a lab stores is not worth a wait for a disk.
        kept = [f"--data-dir={self.folder}/etcd", "--unsafe-no-fsync=true", "--log-level=warn"]
        return [*kept, "--name=lab", f"--initial-cluster=lab={there}", *serves]

    def _apiserver(self) -> list[str]:
        port = self._made["ports"][0]
        keys = self.folder / "keys"
        return [
            f"--etcd-servers={self.etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={keys}/apiserver.crt",
            f"--tls-private-key-file={keys}/apiserver.key",
            f"--client-ca-file={keys}/ca.crt",
            f"--kubelet-client-certificate={keys}/kubelet-client.crt",
            f"--kubelet-client-key={keys}/kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={keys}/accounts.pub",
            f"--service-account-signing-key-file={keys}/accounts.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            # As installers set it: what keeps tenants from privileged pods is the policy of their namespace.
            "--allow-privileged=true",
            "--profiling=false",
        ]

    def _controller_manager(self) -> list[str]:
        keys = self.folder / "keys"
        return [
            f"--kubeconfig={self.folder}/kube-controller-manager.kubeconfig",
            f"--service-account-private-key-file={keys}/accounts.key",
            f"--root-ca-file={keys}/ca.crt",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            # With the defaults a namespace gets its service account after 9 s.
            "--kube-api-qps=300",
            "--kube-api-burst=500",
            # Half the default, for tests of a node that is gone.
            "--node-monitor-grace-period=20s",
            f"--flex-volume-plugin-dir={self.folder}/flex",
            *self._silent(),
        ]

    def _scheduler(self) -> list[str]:
        kubeconfig = f"--kubeconfig={self.folder}/kube-scheduler.kubeconfig"
        return [
            kubeconfig,
            "--leader-elect=false",
            "--kube-api-qps=300",
            "--kube-api-burst=500",
            *self._silent(),
        ]

    def _silent(self) -> list[str]:
        """Nobody asks for their health or metrics."""
        return ["--secure-port=0", *(["--port=0"] if self.made_of.minor < 24 else [])]

    def _kwok(self) -> list[str]:
        return [
            f"--kubeconfig={self.folder}/kwok.kubeconfig",
            f"--config={self.made_of.path('stages.yaml')}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-label-selector=type=kwok",
            "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{self._made['ports'][3]}",
        ]

    # Nodes that only seem to be

    def kwok_nodes(self, count: int, pods: int = 110) -> None:
        """Have ``count`` nodes of kwok's, for so many pods each, which go Running and run nothing."""
        self.start("kwok")
        room = {"cpu": "1k", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": str(pods)}
        for number in range(count):
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"kwok-{number}", "labels": {"type": "kwok"}},
                "status": {"capacity": room, "allocatable": room},
            }
            with contextlib.suppress(AlreadyThere):
                self.call("POST", "/api/v1/nodes", node)
        names = {f"kwok-{number}" for number in range(count)}
        places.wait("kwok's nodes are ready", lambda: names <= self.ready_nodes(), PATIENCE)

    def ready_nodes(self) -> set[str]:
        """The names of the nodes that take pods."""
        return {
            node["metadata"]["name"]
            for node in self.call("GET", "/api/v1/nodes")["items"]
            if not node["spec"].get("taints")
            and any(
                c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ())
            )
        }

    # Its API, for what the lab itself does

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """As its admin; the answer's JSON, or text. OSError when there was none, or not a good one."""
        request = urllib.request.Request(
            self.server + path, None if body is None else json.dumps(body).encode(), method=method
        )
        request.add_header("Authorization", f"Bearer {self.token('admin')}")
        request.add_header("Content-Type", "application/json")
        context = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                said = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 409:
                raise AlreadyThere(path) from None
            raise
        return json.loads(said) if said.startswith("{") else said

    def _has_account(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.call("GET", "/api/v1/namespaces/default/serviceaccounts/default"))
        return False


class AlreadyThere(OSError):
    """There is an object of that name."""


def everyone() -> list[Lab]:
    """All labs of this user."""
    return [Lab(folder.name) for folder in sorted(root().glob("*")) if folder.is_dir()]


def sweep() -> None:
    """Take away those that belonged to a process that is gone."""
    for lab in everyone():
        with contextlib.suppress(OSError), (lab.folder / "owner").open("r") as file:
            with _owners():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lab.down()


def _owners() -> contextlib.AbstractContextManager[None]:
    """Nobody else makes or removes a lab's folder."""
    return places.locked(places.cache("kubernetes") / "owners.lock")
