"""The ``local`` driver: instances are processes of this host.

Each has a folder and a supervisor of its own (:mod:`supervisor`), which outlives
apisvc. The driver writes what should be and reads what is; nothing is kept in
memory, so any number of processes may use the same folders.

An image reference is ``host`` (the instance's command runs on the host) or the
path of an executable that is run when the instance names no command.
"""

import contextlib
import dataclasses
import functools
import os
import platform
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from oslo_config import cfg

from apisvc.compute import base
from apisvc.compute.local import folders, host, logs, supervisor, terminal, watch, wishes

Phase = base.Phase
Call = TypeVar("Call", bound=Callable[..., Any])

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


def _call(method: Call) -> Call:
    """A call of the contract: none past its deadline, and the host's own errors in the contract's words."""

    @functools.wraps(method)
    def call(*args: Any, deadline: float, **kwargs: Any) -> Any:
        if time.monotonic() >= deadline:
            raise base.Timeout
        try:
            return method(*args, deadline=deadline, **kwargs)
        except (OSError, subprocess.SubprocessError) as error:
            raise base.Unavailable(f"This host refuses: {error}") from error

    return cast(Call, call)


class LocalDriver(base.ComputeDriver, base.Power, base.Logs, base.Exec, base.Nodes, base.Watch):
    contract = "1.0"

    def __init__(self, backend: base.BackendContext) -> None:
        super().__init__(backend)
        root = os.path.abspath(backend.conf.folder or backend.state_dir)
        self._parent = os.path.join(root, backend.owner)

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return [
            cfg.StrOpt(
                "folder",
                help="Folder for the instances' own folders, on a file system of this host. Unset: below state_dir.",
            ),
            cfg.IntOpt(
                "max_log_bytes",
                default=10 << 20,
                min=4096,
                help="Bytes of output that are kept of an instance; the older half goes when it is full.",
            ),
            cfg.FloatOpt(
                "stop_grace",
                default=10.0,
                min=0.0,
                help="Seconds between SIGTERM and SIGKILL when an instance is stopped.",
            ),
            cfg.BoolOpt(
                "allow_remote",
                default=False,
                help="Serve the API also to other hosts while this backend is enabled. Instances are commands "
                "on this host with the rights of apisvc itself: whoever has a token has those rights.",
            ),
            *host.OPTIONS,
        ]

    @property
    def loopback_only(self) -> bool:
        return not self.backend.conf.allow_remote

    # The core

    @_call
    def check(self, *, deadline: float) -> base.Health:
        os.makedirs(self._parent, mode=0o700, exist_ok=True)
        if not os.access(self._parent, os.W_OK | os.X_OK):
            raise base.Unavailable("The folder of the instances cannot be written to.")
        return base.Health(version=platform.release(), detail=f"{platform.system()} {platform.machine()}")

    @_call
    def ensure_tenant(self, tenant: base.TenantView, *, deadline: float) -> None:
        return

    @_call
    def remove_tenant(self, tenant_id: str, *, deadline: float) -> bool:
        return True

    @_call
    def ensure(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        conf = self.backend.conf
        wanted = wishes.of(
            workload, self._folder(workload.id).path, grace=conf.stop_grace, log_bytes=conf.max_log_bytes
        )
        tag = base.Tag(self.backend.owner, workload.tenant.id, workload.id, workload.spec_hash)

        def wish(old: wishes.Record | None, state: wishes.Record | None) -> wishes.Record:
            if old is None:  # new; or its wish was lost, then the state knows the last number
                return {**wanted, "run": state["run"] + 1 if state else 1}
            return wishes.converge(old, wanted, state)

        return self._change(workload.id, tag, wish, deadline)

    @_call
    def observe(self, ids: Sequence[str] | None = None, *, deadline: float) -> Sequence[base.Observed]:
        names = self._names() if ids is None else [i for i in dict.fromkeys(ids) if _ID.fullmatch(i)]
        if ids is None:
            folders.clean_graves(self._parent)
        seen = []
        for name in names:
            if time.monotonic() >= deadline:
                raise base.Timeout
            folder = folders.Folder(self._parent, name)
            tag, wish = folder.tag(), folder.wish()
            if tag is not None and tag.owner == self.backend.owner:
                if (found := self._look(folder, tag, wish, deadline)) is not None:
                    seen.append(found)
            elif ids is None and folders.half_made(folder):
                self._bury(folder, deadline)
        return seen

    @_call
    def delete(self, instance_id: str, tenant_id: str, *, deadline: float) -> bool:
        folder = self._folder(instance_id)
        with folder.edit(deadline, make=False) as there:
            if not there:
                return True
            tag, wish, state = folder.tag(), folder.wish(), folder.state()
            if (wish or state) and not (wish or {}).get("deleted"):
                bare = base.Tag(self.backend.owner, tenant_id, instance_id, "")
                folder.set(tag or bare, wishes.end(wish, state))
            if folder.supervised():
                folder.rouse()
                return False
            if (state := folder.state()) is not None and state["phase"] not in supervisor.AT_REST:
                folder.rouse()  # it was killed and may have left something running; the next one ends that
                return False
            return folder.remove()

    # Capabilities

    @_call
    def stop(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        return self._modify(workload, deadline, lambda old, state: {**old, "power": "stopped"})

    @_call
    def start(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        def wish(old: wishes.Record, state: wishes.Record | None) -> wishes.Record:
            again = old["power"] == "stopped" or wishes.settled(old, state)
            return {**old, "power": "running", "run": old["run"] + again}

        return self._modify(workload, deadline, wish)

    @_call
    def reboot(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        def wish(old: wishes.Record, state: wishes.Record | None) -> wishes.Record:
            if old["reboots"] >= workload.reboots:
                return old
            return {**old, "reboots": workload.reboots, "run": old["run"] + 1}

        return self._modify(workload, deadline, wish)

    @_call
    def logs(
        self, instance_id: str, tenant_id: str, request: base.LogRequest, *, deadline: float
    ) -> Iterator[bytes]:
        folder = self._folder(instance_id)
        if folder.tag() is None:
            raise base.NotFound("There is no such instance.")
        if request.since is not None or request.previous:
            raise base.InvalidSpec(
                "The log is kept as it was printed: without times, and of all runs together."
            )
        if request.follow:
            return logs.follow(folder.path, request.tail, functools.partial(_ended, folder))
        return logs.read(folder.path, request.tail)

    @_call
    def exec(
        self, instance_id: str, tenant_id: str, request: base.ExecRequest, *, deadline: float
    ) -> base.Terminal:
        folder = self._folder(instance_id)
        tag, wish = folder.tag(), folder.wish()
        if tag is None or wish is None:
            raise base.NotFound("There is no such instance.")
        seen = self._look(folder, tag, wish, deadline)
        if seen is None or seen.phase is not Phase.RUNNING:
            raise base.InvalidSpec("The instance does not run.")
        return terminal.start(folder.path, wish, request)

    @_call
    def nodes(self, *, deadline: float) -> Sequence[base.Node]:
        wishes = [wish for name in self._names() if (wish := folders.Folder(self._parent, name).wish())]
        running = [wish for wish in wishes if wish["power"] == "running"]
        return [host.node(self._parent, running, self.backend.conf)]

    def watch(self, *, stop: threading.Event) -> Iterator[str]:
        try:
            yield from watch.listen(self._parent, stop)
        except OSError as error:
            raise base.Unavailable(f"This host refuses: {error}") from error

    # Within a call

    def _folder(self, instance_id: str) -> folders.Folder:
        if not _ID.fullmatch(instance_id):
            raise base.InvalidSpec(f"The instance id {instance_id!r} cannot be the name of a folder.")
        return folders.Folder(self._parent, instance_id)

    def _names(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return sorted(filter(_ID.fullmatch, os.listdir(self._parent)))
        return []

    def _modify(
        self,
        workload: base.Workload,
        deadline: float,
        wish: Callable[[wishes.Record, wishes.Record | None], wishes.Record],
    ) -> base.Observed:
        """Change the wish of an instance that is there."""

        def change(old: wishes.Record | None, state: wishes.Record | None) -> wishes.Record:
            if old is None:
                raise base.NotFound("There is no such instance.")
            if old.get("deleted"):
                raise base.InProgress("It is being deleted.")
            return wish(old, state)

        return self._change(workload.id, None, change, deadline)

    def _change(
        self,
        instance_id: str,
        tag: base.Tag | None,
        wish: Callable[[wishes.Record | None, wishes.Record | None], wishes.Record],
        deadline: float,
    ) -> base.Observed:
        """Make the wish what ``wish(old, state)`` says, and see to it that a supervisor acts on it."""
        folder = self._folder(instance_id)
        with folder.edit(deadline, make=tag is not None) as there:
            tag = tag or folder.tag()
            if not there or tag is None:
                raise base.NotFound("There is no such instance.")
            supervised, old, state = folder.supervised(), folder.wish(), folder.state()
            new = wish(old, state)
            if new != old or folder.tag() != tag:
                folder.set(tag, new)
            if not wishes.settled(new, state):
                folder.rouse()
            return wishes.observed(tag, new, state, current=supervised and folders.current(state))

    def _look(
        self, folder: folders.Folder, tag: base.Tag, wish: wishes.Record | None, deadline: float
    ) -> base.Observed | None:
        supervised, state = folder.supervised(), folder.state()
        if wish is None:  # lost with the power, or removed in this moment: of no spec, so it is ensured again
            bare = dataclasses.replace(tag, spec_hash="")
            return base.Observed(tag=bare, phase=Phase.UNKNOWN) if folder.exists() else None
        settled = wishes.settled(wish, state)
        if settled and not supervised and wish.get("deleted") and self._finish(folder, deadline):
            return None  # whoever asked for its end may have died since
        if not settled and not supervised and not folder.starting():
            folder.rouse()  # killed, or the host was restarted
        return wishes.observed(tag, wish, state, current=supervised and folders.current(state))

    def _finish(self, folder: folders.Folder, deadline: float) -> bool:
        """The last step of a delete."""
        with folder.edit(deadline, make=False) as there:
            return not there or folder.remove()

    def _bury(self, folder: folders.Folder, deadline: float) -> None:
        """Remove what a process that was killed left half made."""
        with folder.edit(deadline, make=False) as there:
            if there and folders.half_made(folder, older=0):
                folder.remove()


def _ended(folder: folders.Folder) -> bool:
    wish, state = folder.wish(), folder.state()
    return wish is None or wishes.settled(wish, state)
