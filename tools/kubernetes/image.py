"""An image for containers, made of one static busybox, without a container engine."""

import gzip
import hashlib
import io
import json
import pathlib
import platform
import tarfile
from collections.abc import Sequence

#: Links to busybox in the image's /bin.
APPLETS = """
awk cat date dd echo env false grep head hostname httpd id ip kill ls mkdir mount nc printf ps rm seq sh sleep
tail touch true wget yes
"""
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(busybox: pathlib.Path, target: pathlib.Path, names: Sequence[str]) -> None:
    """Write ``target``, an OCI archive that ``ctr images import`` takes; the image bears all ``names``."""
    layer = _layer(busybox.read_bytes())
    packed = gzip.compress(layer, 6, mtime=0)
    config = {
        "architecture": MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "2147483647"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    written = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _describe("application/vnd.oci.image.config.v1+json", written),
        "layers": [_describe("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
    }
    described = json.dumps(manifest).encode()
    entry = _describe(manifest["mediaType"], described)
    index = {
        "schemaVersion": 2,
        "manifests": [{**entry, "annotations": {"io.containerd.image.name": name}} for name in names],
    }
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)
        _add(archive, "index.json", json.dumps(index).encode(), 0o644)
        for blob in (packed, written, described):
            _add(archive, f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}", blob, 0o644)


def _layer(busybox: bytes) -> bytes:
    """The only layer: busybox, its links, and the folders a program expects."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder in ("bin", "etc", "proc", "sys", "dev"):
            _add(layer, folder, kind=tarfile.DIRTYPE)
        for folder in ("tmp", "work"):
            _add(layer, folder, mode=0o1777, kind=tarfile.DIRTYPE)
        _add(layer, "bin/busybox", busybox)
        for applet in APPLETS.split():
            _add(layer, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        _add(layer, "etc/passwd", b"root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n", 0o644)
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile,
    name: str,
    data: bytes = b"",
    mode: int = 0o755,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.linkname = mode, kind, link
    entry.size = len(data) if kind == tarfile.REGTYPE else 0
    archive.addfile(entry, io.BytesIO(data))


def _describe(kind: object, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
