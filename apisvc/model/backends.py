"""Backends as the store knows them, and the workers that serve them."""

import enum

import msgspec


class BackendState(enum.StrEnum):
    ENABLED = "enabled"
    DRAINING = "draining"  # keeps what it has; nothing new
    DISABLED = "disabled"  # not touched at all


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word on a backend. A configured backend without a record is enabled."""

    name: str
    state: BackendState = BackendState.ENABLED
    reason: str = ""
    updated_at: float


class BackendHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker last found; written when it changes, and at least every few minutes."""

    name: str
    healthy: bool
    version: str = ""
    detail: str = ""
    since: float
    checked_at: float


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A live worker; its record is bound to its lease."""

    id: str
    host: str
    pid: int
    started_at: float
    backends: tuple[str, ...]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's leased right to act on one instance."""

    worker_id: str
    at: float
