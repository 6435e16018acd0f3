"""Shapes of workers."""

from typing import Annotated

import msgspec

from apisvc.model import backends, codec
from apisvc.schemas import base


class WorkerView(base.View, frozen=True, kw_only=True):
    """A live worker."""

    id: str
    host: str
    pid: int
    backends: Annotated[tuple[str, ...], msgspec.Meta(description="The backends it serves.")]
    created_at: Annotated[base.Timestamp, msgspec.Meta(description="When it was started.")]
    updated_at: base.Timestamp
    revision: base.Revision


class WorkerList(base.View, frozen=True, kw_only=True):
    """All workers that live now."""

    workers: list[WorkerView]
    next: None = None


def view(found: codec.Versioned[backends.Worker]) -> WorkerView:
    """A worker as administrators see it."""
    worker = found.value
    started = base.timestamp(worker.started_at)
    return WorkerView(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        backends=worker.backends,
        created_at=started,
        updated_at=started,
        revision=found.revision,
    )
