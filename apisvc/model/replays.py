"""Idempotency records: what a POST answered, to be answered again."""

import msgspec


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Written in the transaction of the request itself; so the answer's ETag is this record's revision.

    ``answer`` is the encrypted body (it may show a token's secret).
    """

    fingerprint: str
    status: int
    location: str | None = None
    answer: bytes
    created_at: float
