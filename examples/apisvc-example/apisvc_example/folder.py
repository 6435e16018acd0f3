"""A compute driver whose instances are folders on a file server.

::

    <root>/<owner>/<tenant>/<instance>/tag.json   what apisvc is told about it
    <root>/<owner>/<tenant>/<instance>/data/      what the tenant gets

A folder is there or it is not: it runs nothing, cannot be stopped and never
ends by itself, so the driver has no capability but ``nodes``. Its place follows
from the ids alone, therefore there is never a twin. ``disk_gb`` is checked
against what is free; to enforce it is for the file system's own quotas.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from apisvc.compute import base

_GIB = 1024**3
#: Ids as apisvc makes them; nothing else is a folder of ours.
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


class FolderDriver(base.ComputeDriver, base.Nodes):
    contract = "1.0"

    def __init__(self, backend: base.BackendContext) -> None:
        super().__init__(backend)
        if not backend.conf.root:
            raise ValueError("root is not set; name the folder that the file server shares")
        self._root = pathlib.Path(backend.conf.root)
        self._templates = pathlib.Path(backend.conf.templates or self._root / "templates")
        self._mine = self._root / backend.owner

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return [
            cfg.StrOpt("root", help="The folder that the file server shares. Instances are below it."),
            cfg.StrOpt(
                "templates",
                help="The folder with the templates that images refer to. Default: 'templates' in root.",
            ),
        ]

    def check(self, *, deadline: float) -> base.Health:
        with self._in_time(deadline):
            free = shutil.disk_usage(self._root).free
        return base.Health(detail=f"{free // _GIB} GiB are free")

    def ensure_tenant(self, tenant: base.TenantView, *, deadline: float) -> None:
        with self._in_time(deadline):
            self._place(tenant.id).mkdir(parents=True, exist_ok=True)

    def remove_tenant(self, tenant_id: str, *, deadline: float) -> bool:
        with self._in_time(deadline), self._alone(deadline):
            place = self._place(tenant_id)
            if not place.exists():
                return True
            for folder in place.iterdir():
                if _read(folder) is None:  # unfinished: its maker did not live to put the tag in
                    shutil.rmtree(folder)
            if any(place.iterdir()):
                return False
            place.rmdir()
            return True

    def ensure(self, workload: base.Workload, *, deadline: float) -> base.Observed:
        with self._in_time(deadline), self._alone(deadline):
            template = self._template(workload)
            place = self._place(workload.tenant.id, workload.id)
            found = _read(place)
            if found and found["spec_hash"] == workload.spec_hash:
                return self._observed(found)
            if shutil.disk_usage(self._root).free < workload.disk_gb * _GIB:
                raise base.NoCapacity("The file server has too little room for it now.")
            tag = {
                "tenant_id": workload.tenant.id,
                "instance_id": workload.id,
                "spec_hash": workload.spec_hash,
                "contract": base.CONTRACT,
                "image": workload.image,
                "made_at": time.time(),
            }
            if not found or found["image"] != workload.image:
                self._fill(place, template)
            # Last, and at once: without its tag a folder is unfinished, and is made anew.
            fresh = place / "tag.json.new"
            fresh.write_text(json.dumps(tag), encoding="utf-8")
            fresh.replace(place / "tag.json")
            return self._observed(tag)

    def observe(self, ids: Sequence[str] | None = None, *, deadline: float) -> Sequence[base.Observed]:
        with self._in_time(deadline):
            found = [_read(path.parent) for path in self._mine.glob("*/*/tag.json")]
            return [
                self._observed(tag) for tag in found if tag and (ids is None or tag["instance_id"] in ids)
            ]

    def delete(self, instance_id: str, tenant_id: str, *, deadline: float) -> bool:
        with self._in_time(deadline), self._alone(deadline):
            if _ID.fullmatch(instance_id) and _ID.fullmatch(tenant_id):
                place = self._place(tenant_id, instance_id)
                if place.exists():
                    # The tag goes last: until then it is still seen, and deleted again.
                    shutil.rmtree(place / "data", ignore_errors=True)
                    shutil.rmtree(place)
            return True

    def nodes(self, *, deadline: float) -> Sequence[base.Node]:
        with self._in_time(deadline):
            disk = shutil.disk_usage(self._root)
        return [
            base.Node(
                name=socket.gethostname(),
                ready=True,
                disk_gb=disk.total // _GIB,
                disk_gb_used=disk.used // _GIB,
            )
        ]

    def _place(self, *ids: str) -> pathlib.Path:
        for each in ids:
            if not _ID.fullmatch(each):
                raise base.InvalidSpec("An id has a form that ids do not have.")
        return self._mine.joinpath(*ids)

    def _template(self, workload: base.Workload) -> pathlib.Path:
        """The template that the image refers to, after everything that can be wrong was looked at."""
        if workload.command or workload.args or workload.ports:
            raise base.InvalidSpec("A folder runs nothing: leave out command, args and ports.")
        template = self._templates / workload.image
        if not re.fullmatch(r"[\w-]+", workload.image) or not template.is_dir():
            raise base.InvalidSpec("There is no template of the name that the image refers to.")
        return template

    def _fill(self, place: pathlib.Path, template: pathlib.Path) -> None:
        data = place / "data"
        shutil.rmtree(data, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copytree(template, data)

    def _observed(self, tag: Mapping[str, Any]) -> base.Observed:
        names = [field.name for field in dataclasses.fields(base.Tag) if field.name != "owner"]
        return base.Observed(
            tag=base.Tag(owner=self.backend.owner, **{name: tag[name] for name in names}),
            phase=base.Phase.RUNNING,
            handle=os.path.join(tag["tenant_id"], tag["instance_id"]),
            node=socket.gethostname(),
            started_at=float(tag["made_at"]),
        )

    @contextlib.contextmanager
    def _in_time(self, deadline: float) -> Iterator[None]:
        """What goes wrong with the file server, in the contract's words."""
        if time.monotonic() >= deadline:
            raise base.Timeout("The file server was not asked in time.")
        try:
            yield
        except OSError as error:
            raise base.Unavailable(f"The file server cannot be used: {error.strerror}.") from error

    @contextlib.contextmanager
    def _alone(self, deadline: float) -> Iterator[None]:
        """One change at a time, over all processes; the lock ends with the process that holds it."""
        self._mine.mkdir(exist_ok=True)
        with open(self._mine / ".lock", "w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise base.Timeout("The file server is busy.") from None
                    time.sleep(0.01)
            yield


def _read(place: pathlib.Path) -> dict[str, Any] | None:
    """The tag of the folder at ``place``; None where there is none, or an unfinished one."""
    try:
        found: dict[str, Any] = json.loads((place / "tag.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
