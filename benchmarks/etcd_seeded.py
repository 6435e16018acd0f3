"""An etcd with tenants and many instances in it, for ``benchmarks.etcd_http`` to measure the service on."""

import concurrent.futures
import contextlib
import pathlib
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence

import msgspec

from apisvc.commands import assemble
from apisvc.conf import files
from apisvc.model import codec, instances, keys
from apisvc.schemas import flavors, images
from apisvc.schemas import instances as schema
from apisvc.service import context, layout, secrets, tokens
from apisvc.storage import base as storage

#: As many as creates are spread over.
TENANTS = 50
#: The apisvc.conf for a folder and the address of an etcd.
CONFIG = """\
[DEFAULT]
state_dir = {folder}
enabled_backends = made-up
[api]
access_log = false
[quota]
instances = -1
vcpus = -1
ram_mb = -1
disk_gb = -1
[storage]
driver = etcd
[etcd]
endpoints = {endpoint}
[made-up]
driver = fake
"""


class Seeded:
    """What the measurements ask for: a token, one instance, and two tenants of different size."""

    token: str
    one: str
    large: str
    small: str
    creates: list[str]


@contextlib.contextmanager
def etcd(folder: pathlib.Path) -> Iterator[str]:
    """One member with fsync, as in production; its client address."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    client, peer = (probe.getsockname()[1] for probe in probes)
    for probe in probes:
        probe.close()
    command = [
        "etcd",
        "--data-dir",
        str(folder / "etcd"),
        "--log-level",
        "error",
        "--quota-backend-bytes",
        "8000000000",
    ]
    command += ["--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls"]
    command += [f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}"]
    with (folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{client}"
    finally:
        process.kill()
        process.wait(10)


def seed(folder: pathlib.Path, count: int) -> Seeded:
    """Tenants ``bench-0`` ..., a large and a small one with instances, through the rules where it matters."""
    secrets.add_key(str(folder / "keys"))
    assembly = assemble.assemble(files.read(["--config-file", str(folder / "apisvc.conf")]))
    service, ctx, seeded = assembly.services, context.system(600), Seeded()
    try:
        layout.ensure(assembly.store, deadline=ctx.deadline)
        user = service.users.create(ctx, name="bench", admin=True).result
        seeded.token = service.tokens.create(ctx, user.id, tokens.Grant(name="bench", admin=True)).result.text
        service.flavors.create(ctx, flavors.FlavorCreate(name="small", vcpus=1, ram_mb=64))
        service.images.create(ctx, images.ImageCreate(name="app", references={"fake": "app"}))
        made = [service.tenants.create(ctx, name=f"bench-{n}").result.id for n in range(TENANTS)]
        seeded.creates = [f"/v1/tenants/{tenant}/instances" for tenant in made]
        for size, name in ((count, "large"), (1000, "small")):
            tenant = service.tenants.create(ctx, name=name).result.id
            body = schema.InstanceCreate(
                image="app", flavor="small", labels={"stage": "test"}, env={"A": "b"}
            )
            pattern = service.instances.create(ctx, tenant, body).result
            multiply(assembly.store, tenant, pattern, size - 1)
            setattr(seeded, name, f"/v1/tenants/{tenant}/instances")
            seeded.one = f"/v1/tenants/{tenant}/instances/{pattern.id}"
    finally:
        assembly.close()
    return seeded


def multiply(store: storage.Store, tenant: str, pattern: instances.Instance, count: int) -> None:
    """``count`` more like ``pattern``, written as the rules write them, many in a commit."""
    ids = context.Ids()

    def writes(number: int) -> Sequence[storage.Put]:
        instance_id, name = ids.new(), f"bench-{number}"
        instance = msgspec.structs.replace(pattern, id=instance_id, name=name)
        return (
            storage.Put(keys.join(keys.INSTANCES, tenant, instance_id), codec.encode(instance)),
            storage.Put(keys.join(keys.INSTANCE_NAMES, tenant, name), codec.encode(instance_id)),
            storage.Put(keys.join(keys.INSTANCE_TENANTS, instance_id), codec.encode(tenant)),
        )

    lock = threading.Lock()
    numbers = iter(range(count))

    def work() -> None:
        while True:
            with lock:
                mine = [number for number, _ in zip(numbers, range(40), strict=False)]
            if not mine:
                return
            store.commit([], [write for number in mine for write in writes(number)])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()
