"""A store as text: dumped at one revision, restored into an empty one.

A dump is lines of JSON: a head, a line for each record in key order, and a foot
that counts the lines and bears the SHA-256 of all before it, so that one that
was cut or changed is known before anything is written::

    {"apisvc_dump": 1, "layout": 1, "at": "2026-11-22T08:00:00Z"}
    {"key": "flavors/0193...", "value": "{\\"id\\":..."}
    {"records": 57, "sha256": "9f86d0..."}

What is bound to a lease (workers, claims) speaks of processes and is left out.
Secrets stay encrypted: whoever restores needs the keys too.
"""

import base64
import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable
from typing import Any, BinaryIO

from apisvc import errors
from apisvc.model import keys
from apisvc.service import consistency, filling, layout
from apisvc.storage import base as storage

FORMAT = 1

#: Told how many records are done, and of how many, where that is known.
Progress = Callable[[int, int | None], None]


def silent(done: int, total: int | None) -> None:
    """A Progress that tells nobody."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What was dumped or restored."""

    records: int
    sha256: str


def dump(store: storage.Store, out: BinaryIO, now: float, progress: Progress = silent) -> Summary:
    """Write all records, as they are at one revision.

    :raises StoreUnavailable: the store cannot be read.
    """
    digest = hashlib.sha256()

    def write(line: dict[str, Any]) -> None:
        raw = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        digest.update(raw)
        out.write(raw)

    at = datetime.datetime.fromtimestamp(int(now), datetime.UTC).isoformat().replace("+00:00", "Z")
    write({"apisvc_dump": FORMAT, "layout": layout.version(store), "at": at})
    count = 0
    for record in consistency.read(store):
        if record.lease is None:
            write({"key": record.key, **_packed(record.value)})
            count += 1
            progress(count, None)
    summary = Summary(count, digest.hexdigest())
    write({"records": count, "sha256": summary.sha256})
    return summary


def restore(store: storage.Store, source: BinaryIO, progress: Progress = silent) -> Summary:
    """Read a dump into an empty store. ``source`` must be seekable: it is verified in full first.

    :raises InvalidRequest: it is no dump, of a newer format or layout, cut, or changed.
    :raises Conflict: the store is not empty.
    """
    summary = verify(source)
    target = filling.Filling(store)
    source.seek(0)
    lines = iter(source)
    next(lines)
    for line, done in zip(lines, range(summary.records), strict=False):
        record = json.loads(line)
        target.add(record["key"], _unpacked(record))
        progress(done + 1, summary.records)
    target.flush()
    target.finish()
    return summary


def verify(source: BinaryIO) -> Summary:
    """What a dump holds, all of it looked at."""
    digest = hashlib.sha256()
    last: bytes | None = None
    count = -1  # the head is no record
    for number, line in enumerate(source, 1):
        if last is not None:
            digest.update(last)
            count += 1
        last = line
        read = _parsed(line, number)
        if number == 1:
            _check_head(read)
        if "sha256" in read and "key" not in read:
            if (read["records"], read["sha256"]) != (count, digest.hexdigest()):
                raise errors.InvalidRequest(
                    f"The dump was changed: it has {count} records and SHA-256 {digest.hexdigest()}; "
                    f"its last line says {read['records']} and {read['sha256']}."
                )
            return Summary(count, read["sha256"])
        if number > 1 and not ("key" in read and ("value" in read or "base64" in read)):
            raise errors.InvalidRequest(f"Line {number} of the dump is no record.")
    raise errors.InvalidRequest("The dump is cut: its last line, with count and SHA-256, is missing.")


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise errors.InvalidRequest(f"Line {number} is not a JSON object; this is no dump, or it is cut.")
    return read


def _check_head(read: dict[str, Any]) -> None:
    if "apisvc_dump" not in read:
        raise errors.InvalidRequest("This is no dump of apisvc: the first line has no apisvc_dump.")
    if read["apisvc_dump"] != FORMAT:
        raise errors.InvalidRequest(
            f"The dump is of format {read['apisvc_dump']}; this release reads {FORMAT}."
        )
    if (read["layout"] or 0) > keys.SCHEMA_VERSION:
        raise errors.InvalidRequest(
            f"The dump is of layout {read['layout']}, made by a newer release; "
            f"this one knows layouts up to {keys.SCHEMA_VERSION}."
        )


def _packed(value: bytes) -> dict[str, str]:
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _unpacked(record: dict[str, str]) -> bytes:
    return record["value"].encode() if "value" in record else base64.b64decode(record["base64"])
