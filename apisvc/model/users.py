"""Users and their tokens."""

import hashlib
import re

import msgspec

from apisvc.model import identity


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person or service."""

    id: str
    name: str
    description: str = ""
    email: str = ""
    enabled: bool = True
    #: Has the system role ``admin``.
    admin: bool = False
    created_at: float
    updated_at: float


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token's record, kept under the SHA-256 of its secret. The secret itself is nowhere."""

    id: str
    user_id: str
    name: str = ""
    #: The secret's first characters, so that people can tell theirs apart.
    hint: str
    tenant_id: str | None = None
    role: identity.Role | None = None
    #: May it use the user's system role?
    admin: bool = True
    created_at: float
    expires_at: float | None = None
    #: Written at most once in a few minutes.
    last_used_at: float | None = None


#: How the text of a token begins; what begins otherwise is somebody else's.
TOKEN_PREFIX = "apisvc_"

_TOKEN = re.compile(TOKEN_PREFIX + "[A-Za-z0-9_-]{43}")


def token_digest(text: str) -> str | None:
    """The part of its key that a token's record is found by; None: not the text of a token.

    A plain hash is enough: there are 256 random bits in it to guess.
    """
    if _TOKEN.fullmatch(text) is None:
        return None
    return hashlib.sha256(text.encode("ascii")).hexdigest()
